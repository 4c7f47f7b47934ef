"""What is asked of an endpoint, one check after another. Each says what it saw, and what to mend."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from partners.conformance.sending import Endpoint, Seen, another_key
from runtime.webhook import ID, SIGNATURE, TIMESTAMP, signature

_TOO_OLD = timedelta(minutes=10)
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Check:
    """``mend``: what to do where it fails; Japanese, then English."""

    name: str
    ja: str
    en: str
    mend: tuple[str, str]
    passes: Callable[[Endpoint], tuple[bool, list[Seen]]]


def _taken(*seen: Seen) -> tuple[bool, list[Seen]]:
    return all(one.took for one in seen), list(seen)


def _refused(*seen: Seen) -> tuple[bool, list[Seen]]:
    return all(one.refused for one in seen), list(seen)


def _good(at: Endpoint) -> tuple[bool, list[Seen]]:
    return _taken(at.post(at.event()))


def _test_event(at: Endpoint) -> tuple[bool, list[Seen]]:
    return _taken(at.post(at.test_event()))


def _in_time(at: Endpoint) -> tuple[bool, list[Seen]]:
    seen = at.post(at.event())
    return seen.took and at.slowest < at.limit, [seen]


def _forged(at: Endpoint) -> tuple[bool, list[Seen]]:
    return _refused(at.send(*at.signed(at.forged(), keys=(another_key(),))))


def _unsigned(at: Endpoint) -> tuple[bool, list[Seen]]:
    headers, body = at.signed(at.forged())
    without = [
        {name: v for name, v in headers.items() if name != left}
        for left in (ID, TIMESTAMP, SIGNATURE)
    ]
    return _refused(*(at.send(some, body) for some in without))


def _old(at: Endpoint) -> tuple[bool, list[Seen]]:
    return _refused(at.send(*at.signed(at.forged(), moment=datetime.now(UTC) - _TOO_OLD)))


def _of_tomorrow(at: Endpoint) -> tuple[bool, list[Seen]]:
    return _refused(at.send(*at.signed(at.forged(), moment=datetime.now(UTC) + _TOO_OLD)))


def _tampered(at: Endpoint) -> tuple[bool, list[Seen]]:
    headers, body = at.signed(at.forged())
    return _refused(at.send(headers, body.replace(b"consultation", b"community___")))


def _renamed(at: Endpoint) -> tuple[bool, list[Seen]]:
    """The id is signed too: else one message could be played again as many."""
    headers, body = at.signed(at.forged())
    return _refused(at.send({**headers, ID: str(uuid4())}, body))


def _twice(at: Endpoint) -> tuple[bool, list[Seen]]:
    message = at.signed(at.event())
    return _taken(at.send(*message), at.send(*message))


def _repeated(at: Endpoint) -> tuple[bool, list[Seen]]:
    """As after a 5xx or a time-out: the same id, another moment and signature."""
    event, now = at.event(), datetime.now(UTC)
    moments = (now - timedelta(seconds=30), now - timedelta(seconds=15), now)
    return _taken(*(at.send(*at.signed(event, moment=moment)) for moment in moments))


def _out_of_order(at: Endpoint) -> tuple[bool, list[Seen]]:
    first, second = at.event(), at.event()
    return _taken(at.post(second), at.post(first))


def _gap(at: Endpoint) -> tuple[bool, list[Seen]]:
    at.next_number()
    return _taken(at.post(at.event()))


def _at_once(at: Endpoint) -> tuple[bool, list[Seen]]:
    events = [at.event() for _ in range(_AT_ONCE)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return _taken(*pool.map(at.post, events))


def _unknown_type(at: Endpoint) -> tuple[bool, list[Seen]]:
    event = at.event()
    event = {**event, "type": "tsunagu.something_new.v1", "data": {"type": "something_new"}}
    return _taken(at.post(event))


def _unknown_fields(at: Endpoint) -> tuple[bool, list[Seen]]:
    event = at.event()
    data = {**event["data"], "something_new": {"ja": "新しい項目", "list": [1, 2]}}
    return _taken(at.post({**event, "data": data, "newattribute": "新しい属性", "othernew": 7}))


def _rotation(at: Endpoint) -> tuple[bool, list[Seen]]:
    both = ((another_key(), at.key), (at.key, another_key()))
    return _taken(*(at.send(*at.signed(at.event(), keys=keys)) for keys in both))


def _other_kinds(at: Endpoint) -> tuple[bool, list[Seen]]:
    """A kind of signature that it does not know stands beside the one that it knows."""
    event = at.event()
    headers, body = at.signed(event)
    other = "v1a," + base64.b64encode(another_key() * 2).decode()
    good = signature(
        at.key, headers[ID], datetime.fromtimestamp(int(headers[TIMESTAMP]), UTC), body
    )
    return _taken(at.send({**headers, SIGNATURE: f"{other} {good}"}, body))


_VERIFY = (
    "standardwebhooks などの部品で、受け取ったままの本文を検証し、合わなければ 401 を返してください。",
    "Verify the body's very bytes with a library such as standardwebhooks; answer 401 if it fails.",
)
_FRESH = (
    "webhook-timestamp が 5 分より離れていれば、署名が正しくても断ってください。",
    "Refuse what is more than five minutes from now by webhook-timestamp, signed or not.",
)
_TAKE_AGAIN = (
    "webhook-id を覚え、同じものが来たら何もせずに 2xx を返してください。署名と時刻は毎回変わります。",
    "Remember webhook-id; for one that you know do nothing and answer 2xx. Its moment and signature differ.",
)
_ANY_ORDER = (
    "番号が飛んでも前後しても 2xx で受け取り、抜けは後で受信箱から確かめてください。",
    "Take every number as it comes; look for what is missing in the inbox later.",
)
_PASS_OVER = (
    "知らない種類・項目・属性は読み飛ばし、2xx を返してください。",
    "Pass over types, fields and attributes that you do not know, and answer 2xx.",
)
_KEYS = (
    "webhook-signature は空白区切りの一覧です。一つでも合えば受け取ってください。",
    "webhook-signature is a list with spaces between: one that fits is enough.",
)
_QUICKLY = (
    "先に保存して 2xx を返し、処理は後で行ってください。",
    "Store it, answer 2xx, and do the work afterwards.",
)

CHECKS: tuple[Check, ...] = (
    Check("good", "正しい署名を受け取る", "takes what is rightly signed", _VERIFY, _good),
    Check("test_event", "通信試験を受け取る", "takes the daily test event", _PASS_OVER, _test_event),
    Check("forged", "誤った署名を断る", "refuses a wrong signature", _VERIFY, _forged),
    Check("unsigned", "署名のない要求を断る", "refuses what lacks a header", _VERIFY, _unsigned),
    Check("tampered", "書き換えられた本文を断る", "refuses a body that was altered", _VERIFY, _tampered),
    Check("renamed", "付け替えられた webhook-id を断る", "refuses an id that was altered", _VERIFY,
          _renamed),
    Check("old", "古い時刻を断る", "refuses an old timestamp", _FRESH, _old),
    Check("of_tomorrow", "先の時刻を断る", "refuses a timestamp in the future", _FRESH, _of_tomorrow),
    Check("twice", "同じものが二度来ても受け取る", "takes the same message twice", _TAKE_AGAIN, _twice),
    Check("repeated", "再送（署名が新しい）を受け取る", "takes a retry, signed anew", _TAKE_AGAIN,
          _repeated),
    Check("out_of_order", "前後した番号を受け取る", "takes numbers out of order", _ANY_ORDER,
          _out_of_order),
    Check("gap", "飛んだ番号を受け取る", "takes a number after a gap", _ANY_ORDER, _gap),
    Check("at_once", "同時の八件を受け取る", "takes eight at once", _QUICKLY, _at_once),
    Check("unknown_type", "知らない種類を受け取る", "takes an unknown type", _PASS_OVER, _unknown_type),
    Check("unknown_fields", "知らない属性・項目を受け取る", "takes unknown attributes and fields",
          _PASS_OVER, _unknown_fields),
    Check("rotation", "鍵の交換中（署名二つ）を受け取る", "takes two signatures, in either order", _KEYS,
          _rotation),
    Check("other_kinds", "知らない方式の署名を読み飛ばす", "passes over other kinds of signature", _KEYS,
          _other_kinds),
    Check("in_time", "時間内に答える", "answers in time", _QUICKLY, _in_time),
)  # fmt: skip
