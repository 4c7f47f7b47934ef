"""A ward as the network knows it (区): who works there, when, where districts end, which words it uses.

The types are those of the ward file; ``wards.check`` holds what no single field can tell.
"""

from datetime import date
from functools import cached_property
from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveInt

from schemas.codes import AgencyKind
from wards.agencies import Agency
from wards.boundaries import Blocks, Chome, Share, TownChome, draw
from wards.delivery import Delivery, Limits
from wards.escalation import Calls, Desk, EscalationReason
from wards.frozen import Frozen, Id, Number, Words
from wards.terms import ConsentBasis, DeclineReason, RequestedAction, Term


class District(Frozen):
    """A 地区 (日常生活圏域), its hub (拠点), and what it claims of the ward's map."""

    id: Id
    name: Words
    name_en: Words
    hub: Id
    whole: tuple[TownChome, ...] = ()
    part: tuple[TownChome, ...] = ()
    blocks: tuple[Blocks, ...] = ()


class TownAlias(Frozen):
    """Another spelling of a town that documents use; read with a warning."""

    written: Words
    town: Words


class Elsewhere(Frozen):
    """A town of other municipalities that is easily taken for one of this ward."""

    town: Words
    municipalities: tuple[Words, ...]


class Ruling(Frozen):
    """The core centre's decision for a block that the table leaves open (裁定)."""

    town: Words
    chome: Number
    ban: Number
    go: tuple[Number, Number] | None = None
    district: Id
    decided_by: Words
    decided_on: date

    def covers(self, town: str, chome: int | None, ban: int | None, go: int | None) -> bool:
        if (self.town, self.chome, self.ban) != (town, chome, ban):
            return False
        return self.go is None or (go is not None and self.go[0] <= go <= self.go[1])


class Retention(Frozen):
    """How long records are kept (保存期間)."""

    access_log_years: PositiveInt
    case_years_after_close: PositiveInt


Vocabulary = Literal[
    "functions",
    "topics",
    "outcomes",
    "decline_reasons",
    "consent_bases",
    "requested_actions",
    "escalation_reasons",
    "service_codes",
]
VOCABULARIES: tuple[Vocabulary, ...] = get_args(Vocabulary)


class Ward(Frozen):
    """Everything that differs from ward to ward."""

    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    """全国地方公共団体コード with its check digit."""
    prefecture: Words
    name: Words
    name_en: Words
    version: PositiveInt
    valid_from: date
    build: Literal["area", "multi"]
    """面的整備型 (several agencies share the functions) or 多機能拠点整備型 (one facility has all)."""
    disability_word: Literal["障害", "障がい"]
    retention: Retention
    functions: tuple[Term, ...]
    topics: tuple[Term, ...]
    outcomes: tuple[Term, ...]
    decline_reasons: tuple[DeclineReason, ...]
    consent_bases: tuple[ConsentBasis, ...]
    requested_actions: tuple[RequestedAction, ...]
    escalation_reasons: tuple[EscalationReason, ...]
    service_codes: tuple[Term, ...]
    calls: Calls
    desks: tuple[Desk, ...]
    delivery: Delivery
    limits: Limits
    agencies: tuple[Agency, ...]
    districts: tuple[District, ...]
    town_aliases: tuple[TownAlias, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    rulings: tuple[Ruling, ...] = ()

    @cached_property
    def _agencies(self) -> dict[str, Agency]:
        return {agency.id: agency for agency in self.agencies}

    @cached_property
    def _terms(self) -> dict[Vocabulary, dict[str, Term]]:
        return {kind: {t.code: t for t in getattr(self, kind)} for kind in VOCABULARIES}

    @cached_property
    def _chome(self) -> dict[tuple[str, int], Chome]:
        return draw(Share(d.id, d.whole, d.part, d.blocks) for d in self.districts)

    @cached_property
    def towns(self) -> tuple[str, ...]:
        """The ward's towns (町名), each once."""
        return tuple(dict.fromkeys(town for town, _ in self._chome))

    @cached_property
    def chomes(self) -> tuple[Chome, ...]:
        return tuple(self._chome.values())

    def chome(self, town: str, number: int) -> Chome | None:
        return self._chome.get((town, number))

    def agency(self, agency_id: str) -> Agency | None:
        return self._agencies.get(agency_id)

    def desk(self, desk_id: str) -> Desk | None:
        return next((d for d in self.desks if d.id == desk_id), None)

    def reason(self, code: str) -> EscalationReason | None:
        """What the ward says of a reason to call the core centre."""
        found = self.term("escalation_reasons", code)
        return found if isinstance(found, EscalationReason) else None

    def desks_of(self, reason: EscalationReason | None) -> tuple[Desk, ...]:
        """The desks that a call of this reason goes to, in order; of a reason that the ward no
        longer has, in the ward's own order."""
        wanted = reason.desks if reason and reason.desks else self.calls.desks
        return tuple(desk for desk in map(self.desk, wanted) if desk is not None)

    def district(self, district_id: str) -> District | None:
        return next((d for d in self.districts if d.id == district_id), None)

    @cached_property
    def core(self) -> str:
        """The agency id of the core centre (基幹相談支援センター)."""
        return next(a.id for a in self.agencies if a.kind is AgencyKind.CORE)

    def hub_of(self, district_id: str, on: date) -> str:
        """The agency that serves a district on a day: its hub, or the core centre until it opens.

        Raises ``KeyError`` for a district that the ward does not have.
        """
        district = self.district(district_id)
        if district is None:
            raise KeyError(district_id)
        hub = self._agencies[district.hub]
        return hub.id if hub.active_on(on) else self.core

    def term(self, kind: Vocabulary, code: str) -> Term | None:
        return self._terms[kind].get(code)

    def knows(self, kind: Vocabulary, code: str) -> bool:
        """Whether the ward has this code: ``ward.knows("outcomes", "got_help")``."""
        return code in self._terms[kind]
