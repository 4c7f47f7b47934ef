"""What can be chosen in the referral form (選択肢), in the visitor's words. Pure."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum

from schemas.codes import AddressKind, AgencyKind, Household, ReportedBy, Urgency
from schemas.partner import DisabilityKind, PreferredContact
from services.console.refer.form import CAME_BY
from services.console.words import Words
from wards.terms import ConsentBasis, Term

Choice = tuple[str, str] | tuple[str, str, str]


def choices(words: Words, today: date) -> dict[str, list[Choice]]:
    """By field, in the order of the ward's tables. ``today``: whoever is on the network then."""
    ward, t = words.ward, words.t
    yes_no: list[Choice] = [("yes", t("あり", "yes")), ("no", t("なし", "no"))]
    others = [
        (one.id, t(one.name, one.name_en))
        for one in ward.agencies
        if one.kind is not AgencyKind.AUDITOR and one.active_on(today)
    ]
    return {
        "reported_by": _codes(words, ReportedBy),
        "came_by": [(code, t(*said)) for code, said in CAME_BY.items()],
        "function": _terms(words, ward.functions),
        "urgency": _codes(words, Urgency),
        "requested_action": _terms(words, ward.requested_actions),
        "topics": _terms(words, ward.topics),
        "preferred_contact": _codes(words, PreferredContact),
        "address_kind": _codes(words, AddressKind),
        "household": _codes(words, Household),
        "registered": yes_no,
        "disability_kinds": _codes(words, DisabilityKind),
        "handbook_held": yes_no,
        "support_category": [(str(n), t(f"区分{n}", f"Category {n}")) for n in range(1, 7)],
        "services": _terms(words, ward.service_codes),
        "basis": [
            (b.code, f"{t(b.ja, b.en)}（{b.code}）", _demands(b, words)) for b in ward.consent_bases
        ],
        "to_way": [
            ("address", t("住所の地区の拠点へ", "To the hub of the address's district")),
            ("district", t("地区を選ぶ", "Choose a district")),
            ("agency", t("機関を選ぶ", "Choose an agency")),
        ],
        "to_district": [(d.id, t(d.name, d.name_en)) for d in ward.districts],
        "to_agency": [*others],
    }


def _terms(words: Words, terms: Iterable[Term]) -> list[Choice]:
    return [(term.code, words.t(term.ja, term.en)) for term in terms]


def _codes(words: Words, kind: type[StrEnum]) -> list[Choice]:
    return [(value.value, words.code(value)) for value in kind]


def _demands(basis: ConsentBasis, words: Words) -> str:
    """What must be written with this basis, said beside it."""
    t = words.t
    wanted = []
    if basis.needs_reason:
        wanted.append(t("理由", "why"))
    if basis.needs_reason and basis.needs_decider:
        wanted.append(t("差し迫った危険", "the danger"))
    if basis.needs_decider:
        wanted.append(t("決めた人", "who decided"))
    if basis.needs_meeting:
        wanted.append(t("支援会議の番号", "the meeting's number"))
    if not basis.discloses:
        return t("本人・住所の欄は空けてください", "Leave person and address empty")
    if not wanted:
        return ""
    return t(f"{'・'.join(wanted)}を書いてください", f"Needs {', '.join(wanted)}")
