"""AsyncAPI of the agencies' side: the door and what is carried to them, in an account of their own."""

from schemas import subjects
from schemas.base import JsonObject

_WARD = {
    "ward": {"description": "区の 6 桁コード / the ward's 6-digit code", "examples": ["131059"]}
}
_OWN = {"agency": {"description": "自分の機関 ID / one's own id", "examples": ["hub-motofuji"]}}
_CALL = {
    "call": {
        "description": "OpenAPI の operationId / its operationId in OpenAPI",
        "examples": ["submit_referral", "read_inbox"],
    }
}
_REF = {
    "ref": {
        "description": "パスの {ref} に当たるもの / what {ref} is in the path",
        "examples": ["131059-2026-000001"],
    }
}

CHANNELS: JsonObject = {
    "door": {
        "address": subjects.door("{ward}", "{agency}", "{call}"),
        "title": "NATS の窓口 / The door for agencies",
        "messages": {"DoorRequest": {"$ref": "#/components/messages/DoorRequest"}},
        "parameters": {**_WARD, **_OWN, **_CALL},
    },
    "door.about": {
        "address": subjects.door("{ward}", "{agency}", "{call}", "{ref}"),
        "title": "NATS の窓口（対象を指す） / The door, about something",
        "messages": {"DoorRequest": {"$ref": "#/components/messages/DoorRequest"}},
        "parameters": {**_WARD, **_OWN, **_CALL, **_REF},
    },
    "door.answers": {
        "address": None,
        "title": "窓口の答え / The door's answers",
        "messages": {"DoorAnswer": {"$ref": "#/components/messages/DoorAnswer"}},
    },
    "carried": {
        "address": subjects.carried("{ward}", "{agency}"),
        "title": "NATS による配送 / Events carried to an agency's client",
        "messages": {"CarriedEvent": {"$ref": "#/components/messages/CarriedEvent"}},
        "parameters": {**_WARD, **_OWN},
    },
    "carried.receipts": {
        "address": None,
        "title": "受領 / Receipts",
        "messages": {"Receipt": {"$ref": "#/components/messages/Receipt"}},
    },
}
"""Agencies live in the account AGENCIES: subjects of the services are not heard there."""


def _requests(action: str, channel: str, message: str, replies: str, reply: str) -> JsonObject:
    def on(name: str, said: str) -> JsonObject:
        at = f"#/channels/{name}"
        return {"channel": {"$ref": at}, "messages": [{"$ref": f"{at}/messages/{said}"}]}

    return {"action": action, **on(channel, message), "reply": on(replies, reply)}


OPERATIONS: JsonObject = {
    f"{who}.{does}.{channel}": _requests(action, channel, message, replies, reply)
    for who, does, action, channel, message, replies, reply in (
        ("agency", "calls", "send", "door", "DoorRequest", "door.answers", "DoorAnswer"),
        ("agency", "calls", "send", "door.about", "DoorRequest", "door.answers", "DoorAnswer"),
        ("intake", "answers", "receive", "door", "DoorRequest", "door.answers", "DoorAnswer"),
        ("intake", "answers", "receive", "door.about", "DoorRequest", "door.answers", "DoorAnswer"),
        ("delivery", "sends", "send", "carried", "CarriedEvent", "carried.receipts", "Receipt"),
        ("agency", "receives", "receive", "carried", "CarriedEvent", "carried.receipts", "Receipt"),
    )
}


def _header(name: str, description: str) -> JsonObject:
    return {name: {"type": "string", "description": description}}


_TOLD_STATUS = _header(subjects.STATUS, "HTTP の状態番号 / what HTTP has as its status")

MESSAGES: JsonObject = {
    "DoorRequest": {
        "name": "door_request",
        "title": "窓口への依頼 / A call",
        "description": (
            "本文は HTTP と同じ JSON。読む呼び出しでは `?` の後ろに当たるものをオブジェクトで。\n\n"
            "The same JSON as by HTTP; of a call that reads, what is behind the `?`, as an object."
        ),
        "headers": {
            "type": "object",
            "properties": {
                **_header("Idempotency-Key", "同じ依頼の印 / the same key, the same request"),
                **_header(
                    "Prefer", "respond-async: 決まるのを待たない / do not await the decision"
                ),
            },
        },
        "contentType": "application/json",
        "payload": {"type": "object"},
    },
    "DoorAnswer": {
        "name": "door_answer",
        "title": "窓口の答え / The answer",
        "description": "HTTP と同じバイト列。/ The same bytes as by HTTP.",
        "headers": {
            "type": "object",
            "required": [subjects.STATUS],
            "properties": {
                **_TOLD_STATUS,
                **_header("Content-Type", "application/json, application/problem+json"),
                **_header("Location", "202 のとき、見に行く先 / of a 202, where to look"),
                **_header("Retry-After", "秒 / seconds"),
            },
        },
        "payload": {"type": "object"},
    },
    "CarriedEvent": {
        "name": "carried_event",
        "title": "届く出来事 / An event",
        "description": (
            "CloudEvent と、その機関の通し番号 `agencynumber`。\n\n"
            "The CloudEvent with the agency's own number of it, `agencynumber`."
        ),
        "contentType": "application/cloudevents+json",
        "payload": {"$ref": "./openapi.json#/components/schemas/CloudEvent"},
    },
    "Receipt": {
        "name": "receipt",
        "title": "受領 / A receipt",
        "description": (
            "返事があれば受け取ったものとします。2xx でない状態を付けると、後でもう一度届きます。\n\n"
            "Any reply is one, unless it bears a status other than 2xx: then the event comes again."
        ),
        "headers": {"type": "object", "properties": _TOLD_STATUS},
        "payload": {"type": "string"},
    },
}
