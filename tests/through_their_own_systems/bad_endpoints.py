"""Webhook endpoints that are wrong in one way each, named after it; ``FOUND_BY``: the checks that find it.

Each is a good one (``partners.receiver``) with one mistake of the kind that integrators make.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from partners.receiver import Receiver, Reply

Receive = Callable[[Mapping[str, str], bytes], Reply]
OK = Reply(204, "taken")
NO = Reply(401, "no")


def good(secret: str) -> Receive:
    return Receiver([secret], lambda _: None).receive


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _signed(secret: str, said: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()


def _without(mistaken: Callable[[Any], bool]) -> Callable[[str], Receive]:
    """Refuses some of what is rightly signed."""

    def make(secret: str) -> Receive:
        receiver = Receiver([secret], lambda _: None)

        def receive(headers: Mapping[str, str], body: bytes) -> Reply:
            if receiver.is_authentic(headers, body) and mistaken(json.loads(body)):
                return Reply(400, "not understood")
            return receiver.receive(headers, body)

        return receive

    return make


def takes_everything(_: str) -> Receive:
    return lambda _headers, _body: OK


def asks_only_whether_there_is_a_signature(secret: str) -> Receive:
    def receive(headers: Mapping[str, str], _: bytes) -> Reply:
        needed = {"webhook-id", "webhook-timestamp", "webhook-signature"}
        then = int(_lower(headers).get("webhook-timestamp", 0))
        fresh = abs(then - datetime.now(UTC).timestamp()) < 300
        return OK if fresh and needed <= _lower(headers).keys() else NO

    return receive


def signs_only_the_body(secret: str) -> Receive:
    """Signed over the body alone would not fit; so it takes whatever has a signature that fits some
    body it saw: here, one that verifies with the id it had seen the body under."""
    receiver, ids = Receiver([secret], lambda _: None), dict[bytes, str]()

    def receive(headers: Mapping[str, str], body: bytes) -> Reply:
        named = _lower(headers)
        signature = named.get("webhook-signature", "").encode()
        event = json.loads(body)
        ids.setdefault(signature, str(event.get("id")))
        if "webhook-id" not in named:
            return NO
        return receiver.receive({**named, "webhook-id": ids[signature]}, body)

    return receive


def ignores_the_time(secret: str) -> Receive:
    def receive(headers: Mapping[str, str], body: bytes) -> Reply:
        named = _lower(headers)
        try:
            said = f"{named['webhook-id']}.{named['webhook-timestamp']}.".encode() + body
            return OK if _signed(secret, said) in named["webhook-signature"].split(" ") else NO
        except KeyError:
            return NO

    return receive


def asks_again_for_what_is_forged(secret: str) -> Receive:
    receive = good(secret)

    def failing(headers: Mapping[str, str], body: bytes) -> Reply:
        reply = receive(headers, body)
        return Reply(500, "a fault") if reply.status == 401 else reply

    return failing


def refuses_what_it_knows(secret: str) -> Receive:
    receive = good(secret)

    def conflicting(headers: Mapping[str, str], body: bytes) -> Reply:
        reply = receive(headers, body)
        return Reply(409, "known") if reply.why == "known already" else reply

    return conflicting


def remembers_one_signature_for_each_id(secret: str) -> Receive:
    receive, first = good(secret), dict[str, str]()

    def receiving(headers: Mapping[str, str], body: bytes) -> Reply:
        named = _lower(headers)
        reply = receive(headers, body)
        if reply.status == 204:
            signature = named["webhook-signature"]
            if first.setdefault(named["webhook-id"], signature) != signature:
                return Reply(400, "another signature")
        return reply

    return receiving


def insists_on_order(secret: str) -> Receive:
    newest = [0]

    def older(event: Any) -> bool:
        number = event["agencynumber"]
        if number < newest[0]:
            return True
        newest[0] = number
        return False

    return _without(older)(secret)


def insists_on_the_next_number(secret: str) -> Receive:
    known: set[int] = {0}

    def jumps(event: Any) -> bool:
        number = event["agencynumber"]
        if number > max(known) + 1:
            known.add(number)  # it goes on from there, else it would take nothing any more
            return True
        known.add(number)
        return False

    return _without(jumps)(secret)


refuses_unknown_types = _without(lambda event: event["type"] == "tsunagu.something_new.v1")
refuses_test_events = _without(lambda event: event["type"] == "tsunagu.delivery_tested.v1")
refuses_unknown_attributes = _without(lambda event: "newattribute" in event)


def reads_one_signature(secret: str) -> Receive:
    receive = good(secret)

    def reading(headers: Mapping[str, str], body: bytes) -> Reply:
        named = _lower(headers)
        if "webhook-signature" in named:
            named["webhook-signature"] = named["webhook-signature"].partition(" ")[0]
        return receive(named, body)

    return reading


def stumbles_over_other_kinds(secret: str) -> Receive:
    receive = good(secret)

    def reading(headers: Mapping[str, str], body: bytes) -> Reply:
        if "v1a," in _lower(headers).get("webhook-signature", ""):
            return Reply(500, "a fault")
        return receive(headers, body)

    return reading


def takes_one_at_a_time(secret: str) -> Receive:
    receive, busy = good(secret), threading.Lock()

    def receiving(headers: Mapping[str, str], body: bytes) -> Reply:
        if not busy.acquire(blocking=False):
            return Reply(503, "busy")
        try:
            time.sleep(0.05)
            return receive(headers, body)
        finally:
            busy.release()

    return receiving


def writes_it_down_slowly(secret: str) -> Receive:
    receive, calls = good(secret), [0]

    def receiving(headers: Mapping[str, str], body: bytes) -> Reply:
        reply = receive(headers, body)
        calls[0] += 1
        if reply.why == "taken" and calls[0] > 25:  # only the last ones: late in a long day
            time.sleep(0.6)
        return reply

    return receiving


def sends_elsewhere(_: str) -> Receive:
    return lambda _headers, _body: Reply(307, "elsewhere")


FOUND_BY: dict[Callable[[str], Receive], set[str]] = {
    takes_everything: {"forged", "unsigned", "tampered", "renamed", "old", "of_tomorrow"},
    asks_only_whether_there_is_a_signature: {"forged", "tampered", "renamed"},
    signs_only_the_body: {"renamed"},
    ignores_the_time: {"old", "of_tomorrow"},
    asks_again_for_what_is_forged: {
        "forged", "unsigned", "tampered", "renamed", "old", "of_tomorrow",
    },
    refuses_what_it_knows: {"twice", "repeated"},
    remembers_one_signature_for_each_id: {"repeated"},
    insists_on_order: {"out_of_order"},
    insists_on_the_next_number: {"gap", "out_of_order"},
    refuses_unknown_types: {"unknown_type"},
    refuses_test_events: {"test_event"},
    refuses_unknown_attributes: {"unknown_fields"},
    reads_one_signature: {"rotation", "other_kinds"},
    stumbles_over_other_kinds: {"other_kinds"},
    takes_one_at_a_time: {"at_once"},
}  # fmt: skip

MAY_ALSO_BE_FOUND_BY = {insists_on_order: {"at_once"}, insists_on_the_next_number: {"at_once"}}
"""Where it depends on which of eight comes first."""
