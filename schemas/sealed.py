"""Personal data as it travels: ciphertext beside a commitment (封緘).

Identity, address and free text are encrypted at the door, one field group at a time, with a key
per referral. The *event* carries only the commitment, SHA-256 over a nonce and the plaintext; the
ciphertext sits in a table that can be emptied, so a person can be erased and every proof still holds.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from schemas.base import Hex64, Said

Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class Group(StrEnum):
    """What is sealed together, so that it can be opened apart from the rest."""

    IDENTITY = "identity"  # name, kana, birth date, phone …
    ADDRESS = "address"
    SITUATION = "situation"  # summary, needs, risks, in the person's or the sender's words
    CONSENT = "consent"  # who decided, why, which meeting
    TEXT = "text"  # the words beside a hand-off, an answer, a note, an escalation
    ATTACHMENT = "attachment"  # an attachment's file name, and SHA-256 of its content


class Commitment(Said):
    """Binds a sealed group to its event: SHA-256 over nonce and plaintext."""

    group: Group
    commitment: Hex64


class SealedGroup(Commitment):
    """One group as it travels with a command. ``ciphertext``: base64 of AES-256-GCM
    nonce ‖ ciphertext ‖ tag; bound to referral, group and commitment as associated data."""

    ciphertext: Base64


class SealedRecord(SealedGroup):
    """A sealed group as it is handed to intake for opening: of which event it is part."""

    event: UUID
