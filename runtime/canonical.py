"""Canonical JSON and commitments: one value, one sequence of bytes.

A subset of RFC 8785 (JSON Canonicalization Scheme) that every language's JSON library agrees on:
no floats, integers that a double holds exactly (±(2^53 - 1), RFC 7493), ASCII object keys (so that
sorting by code point, by UTF-16 unit and by byte is the same), UTF-8 without lone surrogates.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final, Never

LARGEST_INT: Final = 2**53 - 1
NONCE_BYTES: Final = 32


class CanonicalError(ValueError):
    """The value has no canonical form here, or the bytes are not the canonical form of a value."""


def canonical_json(value: object) -> bytes:
    """The canonical bytes of ``value``: dicts with string keys, lists, strings, ints, bools, None.

    Exact types only: an enum, a tuple or a date is turned into plain JSON by whoever knows why.
    """
    try:
        _refuse_foreign(value)
        return _encode(value).encode()
    except RecursionError:
        raise CanonicalError("nested too deeply") from None
    except UnicodeEncodeError:
        raise CanonicalError("a lone surrogate is not text") from None


def parse_canonical(data: bytes) -> dict[str, Any]:
    """The object whose canonical form ``data`` is, byte for byte."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise CanonicalError("not UTF-8") from None
    value, end = read_canonical(text, 0)
    if end != len(text):
        raise CanonicalError("something follows the object")
    return value


def read_canonical(text: str, start: int) -> tuple[dict[str, Any], int]:
    """The canonical object that begins at ``start``, and where it ends."""
    try:
        value, end = _decode(text, start)
        # Writing it again is the whole check: spaces, other escapes, another order of keys, and
        # duplicate keys (the parser kept the last) all give other bytes.
        if type(value) is not dict or _encode(value) != text[start:end]:
            raise CanonicalError("not the canonical form of an object")
        if not text.isascii():  # otherwise its keys are ASCII too
            _refuse_foreign(value)
    except CanonicalError:
        raise
    except RecursionError:
        raise CanonicalError("nested too deeply") from None
    except ValueError:
        raise CanonicalError("not JSON") from None
    return value, end


def commitment(domain: str, nonce: bytes, payload: object) -> str:
    """Hex SHA-256(len(domain) as one byte ‖ domain ‖ nonce ‖ canonical payload).

    The length byte and the nonce's fixed 32 bytes make the split unambiguous. The nonce is secret
    and random, so the hash alone does not let anyone guess a birth date; once it is destroyed the
    commitment says nothing.
    """
    name = domain.encode()
    if not 0 < len(name) < 256:
        raise CanonicalError("a commitment's domain has 1 to 255 bytes")
    if len(nonce) != NONCE_BYTES:
        raise CanonicalError(f"a commitment's nonce has {NONCE_BYTES} bytes")
    preimage = bytes([len(name)]) + name + nonce + canonical_json(payload)
    return hashlib.sha256(preimage).hexdigest()


def _refuse_foreign(value: Any) -> None:
    """Refuse what json would quietly coerce (floats, int keys, enums, tuples) or cannot write."""
    kind = type(value)
    if kind is dict:
        try:
            ascii_keys = "".join(value).isascii()
        except TypeError:
            raise CanonicalError("an object's keys are strings") from None
        if not ascii_keys:
            raise CanonicalError("an object's keys are ASCII")
        for inner in value.values():
            if type(inner) not in _LEAVES:
                _refuse_foreign(inner)
    elif kind is list:
        for inner in value:
            if type(inner) not in _LEAVES:
                _refuse_foreign(inner)
    elif kind is int:
        if not -LARGEST_INT <= value <= LARGEST_INT:
            raise CanonicalError("an integer lies outside ±(2^53 - 1)")
    elif kind not in _LEAVES:
        raise CanonicalError(f"{kind.__name__} has no canonical form")


def _read_int(digits: str) -> int:
    if len(digits) > 17 or not -LARGEST_INT <= (value := int(digits)) <= LARGEST_INT:
        raise CanonicalError("an integer lies outside ±(2^53 - 1)")
    return value


def _refuse_number(_: str) -> Never:
    raise CanonicalError("floats, NaN and Infinity have no canonical form")


def _encoder() -> Callable[[object], str]:
    """json.dumps with these options, without building its C encoder anew at every call."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(
            ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True
        ).encode
    write_string = json.encoder.encode_basestring
    chunks = make(None, None, write_string, None, ":", ",", True, False, False)
    return lambda value: "".join(chunks(value, 0))


_LEAVES: Final = frozenset({str, bool, type(None)})
# RFC 8785, 3.2.2.2: Python escapes just what it names, with lower-case \u00xx, when ASCII is off.
_encode: Final = _encoder()
_decode: Final[Callable[[str, int], tuple[Any, int]]] = json.JSONDecoder(
    parse_float=_refuse_number, parse_int=_read_int, parse_constant=_refuse_number
).raw_decode
