"""AsyncAPI 3.0 of the bus: what is said where, who says it and who listens.

Addresses come from ``schemas.subjects``, so the document cannot name a subject that nobody uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from schemas import queries as q
from schemas import subjects
from schemas.base import JsonObject
from schemas.commands import Answer, Command
from schemas.journal import ConsoleEntry, DeliveryEntry, JournalEntry
from schemas.publishing import asyncapi_door
from schemas.publishing.messages import ACTIONS, HAPPENED, Message, says
from schemas.publishing.words import TITLES


@dataclass(frozen=True, slots=True)
class Question:
    """``service`` answers ``asked`` under ``name`` with ``reply``; ``askers`` ask it. ``of_process``: each of
    its processes under a name of its own, which it has said before."""

    service: str
    name: str
    asked: type[BaseModel]
    reply: type[BaseModel]
    askers: tuple[str, ...] = ("intake",)
    of_process: bool = False


QUESTIONS: tuple[Question, ...] = (
    Question("referral", "read", q.ReadReferral, q.Told),
    Question("referral", "history", q.ReadHistory, q.Told),
    Question("referral", "list", q.ListReferrals, q.Told),
    Question("referral", "standing", q.ListStanding, q.Told, ("console",)),
    Question("referral", "answer", q.ReadAnswer, q.Told),
    Question("referral", "locate", q.Locate, q.Told),
    Question("referral", "rehearse", q.RehearseSubmissions, q.Told),
    Question("referral", "settle", q.SettleDistrict, q.Told),
    Question("referral", "escalations", q.ListEscalations, q.Told),
    Question("referral", "overview", q.ReadOverview, q.Told, ("console",)),
    Question("intake", "call", q.CallCounter, q.CounterSaid, ("console",)),
    Question("intake", "open_attachment", q.OpenAttachment, q.FileSaid, ("console",)),
    Question("intake", "begin_attachment", q.BeginAttachment, q.FileSaid, ("console",)),
    Question("intake", "piece", q.MovePiece, q.FileSaid, ("console",), of_process=True),
    Question("delivery", "inbox", q.ReadInbox, q.Told),
    Question("delivery", "manifest", q.ReadManifest, q.Told),
    Question("delivery", "sign_manifest", q.SignManifest, q.Told),
    Question("delivery", "test", q.SendTest, q.Told),
    Question("delivery", "read_test", q.ReadTest, q.Told),
    Question("audit", "replay", q.ReplayReferral, q.Told, ("console",)),
    Question("audit", "ward_at", q.ReplayWard, q.Told, ("console",)),
    Question("audit", "month", q.ReadMonth, q.Told, ("console",)),
    Question("audit", "receipt", q.ReadReceipt, q.Told, ("console",)),
    Question("audit", "checkpoint", q.ReadCheckpoint, q.Told, ("console",)),
    Question("audit", "verify", q.VerifyLedger, q.Told, ("console",)),
    Question("audit", "export_referral", q.ExportReferral, q.Told, ("console",)),
    *(
        Question(service, "status", q.AskStatus, q.ServiceStatus)
        for service in ("referral", "delivery", "audit")
    ),
)
_INFO = {
    "title": "つなぐ: 内部の電文 / Tsunagu: the bus",
    "version": "1.0.0",
    "description": (
        "コマンドは JetStream、照会は要求と応答、事実は記録（journal）で運びます。"
        "読み手は知らない項目を無視し、形が変わるときは新しい版になります。\n\n"
        "Commands go by JetStream, questions by request-reply, facts by journal. Readers ignore "
        "fields they do not know; a changed shape gets a new version."
    ),
}
_STORED = {"storage": "file", "durableBefore": "a message counts once JetStream acknowledged it"}


def asyncapi_document(questions: Sequence[Question]) -> JsonObject:
    """The bus as it is used by all services together."""
    replies = {question.reply.__name__: question.reply for question in questions}
    channels = {
        "commands": _commands_channel(),
        "answers": _channel(None, "コマンドへの答え / Answers to commands", Answer),
        "journals": _journals_channel(),
        "escalations.grew": _grew_channel("escalations", "見張り / The board of escalations"),
        "inbox.grew": _grew_channel("inbox.{agency}", "受信箱 / An agency's inbox", agency=_AGENCY),
        "replies": _channel(None, "照会への答え / Replies to questions", *replies.values()),
        **{f"{x.service}.{x.name}": _question_channel(x) for x in questions},
    }
    operations = {
        "intake.sends.commands": _operation("send", "commands", Command, Answer, "answers"),
        "referral.receives.commands": _operation("receive", "commands", Command, Answer, "answers"),
        "referral.sends.journals": _operation("send", "journals", JournalEntry),
        "delivery.receives.journals": _operation("receive", "journals", JournalEntry),
        "audit.receives.journals": _operation("receive", "journals", JournalEntry),
        "delivery.sends.journals": _operation("send", "journals", DeliveryEntry),
        "audit.receives.deliveries": _operation("receive", "journals", DeliveryEntry),
        "console.sends.journals": _operation("send", "journals", ConsoleEntry),
        "audit.receives.looks": _operation("receive", "journals", ConsoleEntry),
        "referral.says.escalations.grew": {"action": "send", **_on("escalations.grew", _GREW)},
        "delivery.says.inbox.grew": {"action": "send", **_on("inbox.grew", _GREW)},
        "intake.hears.escalations.grew": {"action": "receive", **_on("escalations.grew", _GREW)},
        "intake.hears.inbox.grew": {"action": "receive", **_on("inbox.grew", _GREW)},
    }
    # Intake waits on the subject that it names in the command's header, for a while.
    at_header = {"location": f"$message.header#/{subjects.REPLY_TO}"}
    for name in ("intake.sends.commands", "referral.receives.commands"):
        operations[name]["reply"]["address"] = at_header
    for x in questions:
        channel = f"{x.service}.{x.name}"
        answers = _operation("receive", channel, x.asked, x.reply, "replies")
        operations[f"{x.service}.answers.{x.name}"] = answers
        for asker in x.askers:
            asks = _operation("send", channel, x.asked, x.reply, "replies")
            operations[f"{asker}.asks.{channel}"] = asks
    said: list[type[BaseModel]] = [Command, Answer, JournalEntry, DeliveryEntry, ConsoleEntry]
    said += replies.values()
    said += [question.asked for question in questions]
    messages = {model.__name__: _message(model) for model in said}
    return {
        "asyncapi": "3.0.0",
        "info": _INFO,
        "defaultContentType": "application/json",
        "channels": channels | asyncapi_door.CHANNELS,
        "operations": operations | asyncapi_door.OPERATIONS,
        "components": {"messages": {**messages, _GREW: _GREW_MESSAGE, **asyncapi_door.MESSAGES}},
    }


def _commands_channel() -> JsonObject:
    channel = _channel(
        subjects.command("{ward}", "{action}"),
        "コマンド / Commands to the deciding service",
        Command,
    )
    action = {
        "description": "何を求めるか / what is asked",
        "enum": [says(kind) for kind in ACTIONS],
    }
    channel["parameters"] = {**_WARD, "action": action}
    channel["x-jetstream"] = {
        "stream": subjects.COMMANDS_STREAM, "retention": "workqueue", "discard": "new", **_STORED,
    }  # fmt: skip
    return channel


def _journals_channel() -> JsonObject:
    channel = _channel(
        subjects.journal("{ward}", "{producer}", "{event}"),
        "記録 / Journals: what the services decided, in order and without a hole",
        JournalEntry,
        DeliveryEntry,
        ConsoleEntry,
    )
    channel["parameters"] = {
        **_WARD,
        "producer": {
            "description": "どのサービスの記録か / whose journal",
            "enum": list(subjects.PRODUCERS),
        },
        "event": {
            "description": "何が起きたか / what happened",
            "enum": [says(kind) for kind in HAPPENED],
        },
    }
    channel["x-jetstream"] = {
        "stream": subjects.JOURNALS_STREAM, "retention": "limits", "discard": "old", **_STORED,
    }  # fmt: skip
    return channel


def _grew_channel(what: str, title: str, **parameters: JsonObject) -> JsonObject:
    return {
        "address": subjects.grew("{ward}", what),
        "title": f"{title}: 増えた / grew",
        "messages": {_GREW: {"$ref": f"#/components/messages/{_GREW}"}},
        "parameters": {**_WARD, **parameters},
    }


def _question_channel(x: Question) -> JsonObject:
    name = "{at}" if x.of_process else x.name
    address = subjects.query("{ward}", x.service, name)
    parameters = {**_WARD, "at": _AT} if x.of_process else _WARD
    return {**_channel(address, TITLES[x.asked.__name__], x.asked), "parameters": parameters}


_WARD = {
    "ward": {"description": "区の 6 桁コード / the ward's 6-digit code", "examples": ["131059"]}
}
_AT = {"description": "受け持つプロセス / the process that has it in hand (FileSaid.at)"}
_AGENCY = {"description": "機関の ID / agency", "examples": ["hub-motofuji"]}
_GREW = "Grew"
_GREW_MESSAGE = {
    "name": "grew",
    "title": "増えた（中身なし） / Grew, without content",
    "description": (
        "見ている人のために、もう一度見に行く合図です。保存されず、届かなくても少し後に見に行きます。\n\n"
        "Whoever shows it looks again. Not durable: whoever misses it looks again a little later."
    ),
    "contentType": "text/plain",
    "payload": {"type": "string", "maxLength": 0},
}


def _channel(address: str | None, title: str, *models: type[BaseModel]) -> JsonObject:
    """``address`` None: known only at run time, from the message that is answered."""
    messages = {m.__name__: {"$ref": f"#/components/messages/{m.__name__}"} for m in models}
    return {"address": address, "title": title, "messages": messages}


def _operation(
    action: str,
    channel: str,
    model: type[BaseModel],
    reply: type[BaseModel] | None = None,
    reply_channel: str = "",
) -> JsonObject:
    operation: JsonObject = {"action": action, **_on(channel, model.__name__)}
    if reply is not None:
        operation["reply"] = _on(reply_channel, reply.__name__)
    return operation


def _on(channel: str, message: str) -> JsonObject:
    at = f"#/channels/{channel}"
    return {"channel": {"$ref": at}, "messages": [{"$ref": f"{at}/messages/{message}"}]}


_HEADERS = {
    "Command": (subjects.REPLY_TO, "答えを待つ subject / the core subject of the answer"),
    "ConsoleEntry": ("Nats-Msg-Id", "出来事の ID（重複除去） / the event's id; duplicates drop"),
    "DeliveryEntry": ("Nats-Msg-Id", "出来事の ID（重複除去） / the event's id; duplicates drop"),
    "JournalEntry": ("Nats-Msg-Id", "出来事の ID（重複除去） / the event's id; duplicates drop"),
}


def _message(model: type[BaseModel]) -> JsonObject:
    message = Message(model)
    document: JsonObject = {
        "name": message.name,
        "title": TITLES[model.__name__],
        "payload": {"$ref": f"./{message.file}"},
    }
    if model.__name__ in _HEADERS:
        header, description = _HEADERS[model.__name__]
        properties = {header: {"type": "string", "description": description}}
        document["headers"] = {"type": "object", "properties": properties}
    return document
