import hashlib
import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.canonical import CanonicalError, canonical_json, commitment, parse_canonical

keys = st.text(st.characters(max_codepoint=127), max_size=6)
leaves = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)
objects = st.dictionaries(keys, values, max_size=5)


class Colour(StrEnum):
    RED = "red"


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_the_form_is_that_of_rfc_8785() -> None:
    value = {"string": "€$\u000f\nA'B\"\\/", "literals": [None, True, False], "numbers": [-1, 0]}
    assert (
        canonical_json(value)
        == (
            '{"literals":[null,true,false],"numbers":[-1,0],"string":"€$\\u000f\\nA\'B\\"\\\\/"}'
        ).encode()
    )


@given(objects)
def test_what_was_written_is_read_back(value: dict[str, Any]) -> None:
    assert parse_canonical(canonical_json(value)) == value


@given(objects)
def test_the_order_of_keys_makes_no_difference(value: dict[str, Any]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@given(objects)
def test_any_other_spelling_is_refused(value: dict[str, Any]) -> None:
    canonical = canonical_json(value)
    for other in (
        json.dumps(value, sort_keys=True, separators=(",", ":")).encode(),
        json.dumps(value, sort_keys=True, ensure_ascii=False).encode(),
        json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
        canonical + b"\n",
        b" " + canonical,
    ):
        if other != canonical:
            with pytest.raises(CanonicalError):
                parse_canonical(other)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": 1.5}, id="a float"),
        pytest.param({"a": [1.0]}, id="a float that is whole"),
        pytest.param({"a": float("nan")}, id="not a number"),
        pytest.param({"a": 2**53}, id="an integer that a double cannot hold"),
        pytest.param({"a": -(2**53)}, id="a negative one"),
        pytest.param({1: "a"}, id="a key that is an integer"),
        pytest.param({"名": "a"}, id="a key outside ASCII"),
        pytest.param({"a": {"b": {None: 1}}}, id="a null key deep inside"),
        pytest.param({"a": (1, 2)}, id="a tuple"),
        pytest.param({"a": Colour.RED}, id="an enum"),
        pytest.param({"a": b"x"}, id="bytes"),
        pytest.param({"a": "\ud800"}, id="half a character"),
        pytest.param(nested(100_000), id="an abyss"),
    ],
)
def test_a_value_without_a_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(CanonicalError):
        canonical_json(value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"a"', id="a string"),
        pytest.param(b'{"a":1,"a":1}', id="a duplicate key"),
        pytest.param(b'{"a":{"b":1,"b":2}}', id="a duplicate key deep inside"),
        pytest.param(b'{"b":1,"a":1}', id="keys out of order"),
        pytest.param(b'{"a": 1}', id="a space"),
        pytest.param(b'{"a":1.0}', id="a float"),
        pytest.param(b'{"a":1e3}', id="an exponent"),
        pytest.param(b'{"a":-0}', id="minus nought"),
        pytest.param(b'{"a":NaN}', id="not a number"),
        pytest.param(b'{"a":-Infinity}', id="infinity"),
        pytest.param(b'{"a":9007199254740992}', id="an integer that a double cannot hold"),
        pytest.param(b'{"a":%s}' % (b"9" * 5_000), id="an integer without end"),
        pytest.param(b'{"a":"\\u0041"}', id="a needless escape"),
        pytest.param(b'{"a":"\\/"}', id="an escaped slash"),
        pytest.param(b'{"a":"\\u001F"}', id="an escape in capitals"),
        pytest.param(b'{"a":"\\ud800"}', id="half a character"),
        pytest.param(b'{"a":"\n"}', id="a raw line end"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param('{"名":1}'.encode(), id="a key outside ASCII"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param(b"{}{}", id="two objects"),
        pytest.param(b'{"a":' * 60_000, id="an abyss"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        parse_canonical(data)


def test_a_commitment_is_the_hash_that_its_docstring_says() -> None:
    nonce = bytes(range(32))
    preimage = b"\x06person" + nonce + b'{"name":"\xe5\xb1\xb1"}'
    assert commitment("person", nonce, {"name": "山"}) == hashlib.sha256(preimage).hexdigest()


@given(st.text(min_size=1, max_size=5), st.binary(min_size=32, max_size=32), values, values)
def test_a_commitment_binds_domain_nonce_and_payload(
    domain: str, nonce: bytes, one: Any, another: Any
) -> None:
    made = commitment(domain, nonce, one)
    assert commitment(domain + "x", nonce, one) != made
    assert commitment(domain, bytes([nonce[0] ^ 1]) + nonce[1:], one) != made
    assert (commitment(domain, nonce, another) == made) == (
        canonical_json(another) == canonical_json(one)
    )


@pytest.mark.parametrize(("domain", "nonce"), [("", b"n" * 32), ("d" * 256, b"n" * 32), ("d", b"")])
def test_a_commitment_without_its_proper_domain_and_nonce_is_not_made(
    domain: str, nonce: bytes
) -> None:
    with pytest.raises(CanonicalError):
        commitment(domain, nonce, {})
