"""One file, sealed so that it can be read and written in pieces (封緘されたファイル).

    header  = "tsunagu-attachment/1\\n" ‖ salt (32 random bytes)
    key     = HKDF-SHA-256 (RFC 5869; the referral's data key, salt, info = what it belongs to)
    chunk n = AES-256-GCM(key, nonce = n (11 bytes) ‖ last (1 byte), 64 KiB of the file, header)

That is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, 2015), with chunks and nonces as in age (C2SP, age-encryption.org/v1): a
chunk changed, moved, repeated, left out or taken from another file does not open, nor does a file
without its end. The salt makes a key of its own for every upload, so no nonce comes twice however
often one attachment is sent.
"""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"tsunagu-attachment/1\n"
CHUNK = 64 * 1024
_SALT = 32
_TAG = 16
_HEADER = len(MAGIC) + _SALT


class Damaged(ValueError):
    """What is stored is not what was sealed."""


class Sealer:
    """``feed`` the file, then ``end``: what they give, in order, is the sealed file."""

    def __init__(self, data_key: bytes, referral: UUID, attachment: UUID) -> None:
        self._header = MAGIC + os.urandom(_SALT)
        self._cipher = _cipher(data_key, self._header, referral, attachment)
        self._held = bytearray()
        self._number = 0
        self._started = False

    def feed(self, data: bytes) -> bytes:
        self._held += data
        sealed = bytearray(self._start())
        # The last chunk is known only at the end, so a full one is held back until more comes.
        while len(self._held) > CHUNK:
            sealed += self._seal(bytes(self._held[:CHUNK]), last=False)
            del self._held[:CHUNK]
        return bytes(sealed)

    def end(self) -> bytes:
        return self._start() + self._seal(bytes(self._held), last=True)

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return self._header

    def _seal(self, chunk: bytes, *, last: bool) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._number, last), chunk, self._header)
        self._number += 1
        return sealed


class Opener:
    """``feed`` the sealed file, then ``end``: what they give, in order, is the file. Both raise
    Damaged; what was given before is genuine, but the file is whole only after ``end``."""

    def __init__(self, data_key: bytes, referral: UUID, attachment: UUID) -> None:
        self._key, self._referral, self._attachment = data_key, referral, attachment
        self._held = bytearray()
        self._number = 0
        self._header = b""
        self._cipher: AESGCM | None = None

    def feed(self, data: bytes) -> bytes:
        self._held += data
        opened = bytearray()
        if self._cipher is None:
            if len(self._held) < _HEADER:
                return b""
            self._header = bytes(self._held[:_HEADER])
            del self._held[:_HEADER]
            if not self._header.startswith(MAGIC):
                raise Damaged("not a sealed file")
            self._cipher = _cipher(self._key, self._header, self._referral, self._attachment)
        while len(self._held) > CHUNK + _TAG:
            opened += self._open(self._cipher, bytes(self._held[: CHUNK + _TAG]), last=False)
            del self._held[: CHUNK + _TAG]
        return bytes(opened)

    def end(self) -> bytes:
        if self._cipher is None:
            raise Damaged("not a sealed file")
        return self._open(self._cipher, bytes(self._held), last=True)

    def _open(self, cipher: AESGCM, chunk: bytes, *, last: bool) -> bytes:
        try:
            opened = cipher.decrypt(_nonce(self._number, last), chunk, self._header)
        except (InvalidTag, ValueError) as error:
            raise Damaged("a chunk cannot be opened") from error
        self._number += 1
        return opened


def _cipher(data_key: bytes, header: bytes, referral: UUID, attachment: UUID) -> AESGCM:
    info = f"tsunagu/attachment/v1/{referral}/{attachment}".encode()
    salt = header[len(MAGIC) :]
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(data_key))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
