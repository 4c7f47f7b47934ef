"""The ward's own vocabularies: codes that only people read, each in Japanese and English.

What the code branches on lives in ``schemas.codes``; what a ward may word or extend lives here.
"""

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from schemas.codes import ClockKind, SaidBy
from wards.frozen import Code, Frozen, Words


class Term(Frozen):
    """One code with its words (機能・相談内容・結果・サービス種類 …)."""

    code: Code
    ja: Words
    en: Words


class RequestedAction(Term):
    """What the sender asks for (依頼内容), and the hub function it belongs to."""

    function: Code


class DeclineReason(Term):
    """Why an offer was declined (辞退理由)."""

    said_by: tuple[SaidBy, ...] = (SaidBy.AGENCY,)
    needs_text: bool = False


class ConsentBasis(Term):
    """The legal ground of a disclosure (同意・提供の根拠), and what must be recorded with it."""

    consent: bool = False
    """The person, or a representative, agreed."""
    discloses: bool = True
    """False: no personal data is handed over on this basis."""
    needs_reason: bool = False
    """Why consent is hard to get, and what the danger is."""
    needs_decider: bool = False
    """Who decided."""
    needs_meeting: bool = False
    """The id of the 支援会議; only its members may read."""
    review_within_business_days: PositiveInt | None = None


class Deadline(Frozen):
    """How long someone has: minutes, or days (business days where the clock is ``business``)."""

    clock: ClockKind
    minutes: Annotated[int, Field(ge=1, le=100_000)] | None = None
    days: Annotated[int, Field(ge=1, le=366)] | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.minutes is None) == (self.days is None):
            raise ValueError("either minutes or days, not both")
        return self
