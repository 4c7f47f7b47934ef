"""The referral form (相談票): from what was typed to the body of ``POST /v1/referrals``, and from a problem
back to the field that it is about. Pure.

Names and sentences go as they were typed. Dates, times, kana and telephone numbers are read
(``refer.typed``); what cannot be read is told at its field, and the field keeps what was typed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TypeVar

from schemas.base import JsonObject
from schemas.codes import AddressKind
from schemas.my_number import has_my_number, masked
from schemas.outside import local_day
from services.console.refer.typed import (
    Unread,
    read_date,
    read_kana,
    read_moment,
    read_phone,
    read_time,
    refuse_text,
)

Typed = Mapping[str, list[str]]
_Read = TypeVar("_Read", date, time, str)

LINE, TEXT = 200, 10_000
"""Characters of a line and of a text (``schemas.partner``)."""

END_OF_DAY = time(23, 59)
"""Until when something is needed that is needed by a day."""

MANY = ("topics", "disability_kinds", "services")
"""Fields that may be there several times."""

CAME_BY = {
    "phone": ("電話", "telephone"),
    "fax": ("FAX", "fax"),
    "counter": ("来所", "came to the office"),
    "visit": ("訪問", "visit"),
    "letter": ("手紙", "letter"),
    "mail": ("メール", "e-mail"),
}
"""How somebody turned to the staff who type it in (受け方)."""

_LABELS: dict[str, tuple[str, str]] = {
    "reported_by": ("だれからの相談か", "Who asks"),
    "came_by": ("受け方", "How it came"),
    "staff": ("担当者", "Contact at your agency"),
    "sender_reference": ("貴機関の整理番号", "Your reference"),
    "function": ("求める機能", "Function"),
    "urgency": ("緊急度", "Urgency"),
    "requested_action": ("依頼したいこと", "What is asked for"),
    "requested_day": ("いつまでに（日）", "Needed by (day)"),
    "requested_time": ("いつまでに（時刻）", "Needed by (time)"),
    "topics": ("相談内容", "Topics"),
    "name": ("氏名", "Name"),
    "kana": ("ふりがな", "Kana"),
    "birth_date": ("生年月日", "Date of birth"),
    "age_band": ("年代", "Age"),
    "phone": ("電話番号", "Telephone"),
    "preferred_contact": ("希望する連絡方法", "Preferred contact"),
    "communication": ("意思疎通で配慮すること", "Communication"),
    "contact_name": ("緊急連絡先の氏名", "Emergency contact: name"),
    "contact_relation": ("緊急連絡先の続柄", "Emergency contact: relation"),
    "contact_phone": ("緊急連絡先の電話番号", "Emergency contact: telephone"),
    "address_kind": ("住所の種類", "Kind of address"),
    "address": ("住所", "Address"),
    "household": ("世帯状況", "Household"),
    "registered": ("事前登録", "Registered beforehand"),
    "summary": ("状況", "Situation"),
    "complaint": ("本人の言葉（主訴）", "In the person's words"),
    "risks": ("心配なこと・危険", "Risks"),
    "disability_kinds": ("障害の種別", "Kinds of disability"),
    "handbook_held": ("手帳の有無", "Holds a handbook"),
    "handbook_kind": ("手帳の種類", "Handbook"),
    "handbook_grade": ("手帳の等級", "Grade"),
    "support_category": ("障害支援区分", "Support category"),
    "care_level": ("要介護度", "Care level"),
    "services": ("利用中のサービス", "Services in use"),
    "doctor": ("主治医・医療機関", "Doctor or hospital"),
    "basis": ("同意・提供の根拠", "Basis of disclosure"),
    "obtained_day": ("同意を得た日", "Consent given on"),
    "obtained_time": ("同意を得た時刻", "Consent given at"),
    "why": ("同意を得ることが困難な理由・法令の定め", "Why there is no consent, or which law"),
    "danger": ("差し迫った危険", "The danger"),
    "decided_by": ("提供を決めた人", "Who decided"),
    "meeting": ("支援会議の番号", "Number of the support meeting"),
    "to_way": ("宛先", "Where to"),
    "to_district": ("宛先の地区", "District"),
    "to_agency": ("宛先の機関", "Agency"),
}
FIELDS = tuple(_LABELS)
"""Every field of the form, in its order on the page."""

_TEXTS = ("communication", "summary", "complaint", "risks", "why", "danger")

# Where the body's fields come from; of a pointer the longest beginning counts.
_PLACES = {
    "/sender_reference": "sender_reference",
    "/staff": "staff",
    "/function": "function",
    "/urgency": "urgency",
    "/requested_action": "requested_action",
    "/requested_by": "requested_day",
    "/topics": "topics",
    "/reported_by": "reported_by",
    "/person": "name",
    "/person/name": "name",
    "/person/kana": "kana",
    "/person/birth_date": "birth_date",
    "/person/age_band": "age_band",
    "/person/phone": "phone",
    "/person/preferred_contact": "preferred_contact",
    "/person/communication": "communication",
    "/person/emergency_contacts": "contact_name",
    "/person/emergency_contacts/0/name": "contact_name",
    "/person/emergency_contacts/0/relation": "contact_relation",
    "/person/emergency_contacts/0/phone": "contact_phone",
    "/address": "address",
    "/address/kind": "address_kind",
    "/address/text": "address",
    "/household": "household",
    "/registered": "registered",
    "/needs/disability_kinds": "disability_kinds",
    "/needs/handbooks": "handbook_kind",
    "/needs/handbooks/0/grade": "handbook_grade",
    "/needs/handbook_held": "handbook_held",
    "/needs/support_category": "support_category",
    "/needs/care_level": "care_level",
    "/needs/current_services": "services",
    "/needs/doctor": "doctor",
    "/complaint": "complaint",
    "/summary": "summary",
    "/risks": "risks",
    "/consent": "basis",
    "/consent/basis": "basis",
    "/consent/obtained_at": "obtained_day",
    "/consent/why": "why",
    "/consent/danger": "danger",
    "/consent/decided_by": "decided_by",
    "/consent/meeting": "meeting",
    "/to": "to_way",
    "/to/district": "to_district",
    "/to/agency": "to_agency",
}


_MY_NUMBER = (
    "個人番号（マイナンバー）と見られる数字がありました。ここには書けません。その数字だけを消しました",
    "There was what looks like an Individual Number. It may not be written here; only those digits were "
    "removed",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, in words. ``field``: none, where it is about no single one. Repeats no value."""

    field: str | None
    ja: str
    en: str


@dataclass(slots=True)
class Reading:
    """The body as far as it could be read, and what could not."""

    body: JsonObject = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def forbidden(typed: Typed) -> set[str]:
    """Fields that hold what must be taken for a 個人番号."""
    return {name for name, values in typed.items() if any(map(has_my_number, values))}


def may_be_kept(typed: Typed) -> dict[str, list[str]]:
    """What was typed, as it may be kept and shown again: of a 個人番号 only the mask, every other word."""
    return {name: [masked(value) for value in values] for name, values in typed.items()}


def label(name: str) -> tuple[str, str]:
    """What a field is called, in Japanese and English."""
    return _LABELS[name]


def read(typed: Typed, now: datetime) -> Reading:
    """The body of a submission from the fields of the form."""
    return _Reader(typed, now).reading()


class _Reader:
    def __init__(self, typed: Typed, now: datetime) -> None:
        self._typed = typed
        self._now = now
        self._problems: list[Problem] = []

    def reading(self) -> Reading:
        self._refuse_what_cannot_be_kept()
        body: JsonObject = {
            "sender_reference": self._of("sender_reference"),
            "staff": self._of("staff"),
            "function": self._needed("function"),
            "urgency": self._needed("urgency"),
            "requested_action": self._of("requested_action"),
            "requested_by": self._needed_by(),
            "topics": self._all("topics"),
            "reported_by": self._needed("reported_by"),
            "person": self._person(),
            "address": self._address(),
            "household": self._of("household"),
            "registered": self._yes_or_no("registered"),
            "needs": self._needs(),
            "complaint": self._of("complaint"),
            "summary": self._summary(),
            "risks": self._of("risks"),
            "consent": self._consent(),
            "to": self._to(),
        }
        return Reading(_filled(body) or {}, self._in_order())

    # -- parts of the body -----------------------------------------------------------------------

    def _person(self) -> JsonObject | None:
        born = self._read("birth_date", read_date)
        if born is not None and born > local_day(self._now):
            self._tell("birth_date", "これからの日付です", "This day is still to come")
        if born is not None and self._of("age_band") is not None:
            self._tell(
                "age_band",
                "生年月日が分かるときは、年代を空けてください",
                "Leave the age empty where the date of birth is known",
            )
        contact = {
            "name": self._of("contact_name"),
            "relation": self._of("contact_relation"),
            "phone": self._read("contact_phone", read_phone),
        }
        known = _filled(contact)
        return _filled(
            {
                "name": self._of("name"),
                "kana": self._read("kana", read_kana),
                "birth_date": born.isoformat() if born is not None else None,
                "age_band": self._of("age_band"),
                "phone": self._read("phone", read_phone),
                "preferred_contact": self._of("preferred_contact"),
                "communication": self._of("communication"),
                "emergency_contacts": [known] if known else None,
            }
        )

    def _address(self) -> JsonObject | None:
        text = self._of("address")
        kind = self._of("address_kind") or AddressKind.REGISTERED.value
        lived_in = kind in (AddressKind.REGISTERED, AddressKind.ACTUAL)
        if text is None and lived_in:
            if (self._of("to_way") or "address") == "address":
                self._tell(
                    "address",
                    "住所を書いてください。決まった住所がなければ種類で「なし」を選びます",
                    "Write the address; where there is none, choose none as its kind",
                )
            return None
        if text is not None and kind == AddressKind.NONE:
            self._tell(
                "address",
                "種類が「なし」のときは、住所を空けてください",
                "Leave the address empty where its kind is none",
            )
        return _filled({"text": text, "kind": kind})

    def _needs(self) -> JsonObject | None:
        category = self._of("support_category")
        kind, grade = self._of("handbook_kind"), self._of("handbook_grade")
        if grade is not None and kind is None:
            self._tell("handbook_kind", "手帳の種類を書いてください", "Which handbook is it?")
        return _filled(
            {
                "disability_kinds": self._all("disability_kinds"),
                "handbook_held": self._yes_or_no("handbook_held"),
                "handbooks": [_filled({"kind": kind, "grade": grade})] if kind else None,
                "support_category": int(category) if category in tuple("123456") else None,
                "care_level": self._of("care_level"),
                "current_services": [{"code": code} for code in self._all("services") or ()],
                "doctor": self._of("doctor"),
            }
        )

    def _summary(self) -> str | None:
        """How it came is said before it: whoever reads the referral wants to know, and the contract has
        no field for it."""
        text = self._needed("summary")
        return text if text is None else self._came() + text

    def _came(self) -> str:
        came = CAME_BY.get(self._of("came_by") or "")
        return f"（受け方: {came[0]}）\n" if came is not None else ""

    def _consent(self) -> JsonObject | None:
        return _filled(
            {
                "basis": self._needed("basis"),
                "obtained_at": self._obtained_at(),
                "why": self._of("why"),
                "danger": self._of("danger"),
                "decided_by": self._of("decided_by"),
                "meeting": self._of("meeting"),
            }
        )

    def _to(self) -> JsonObject | None:
        match self._of("to_way") or "address":
            case "district":
                return _filled({"district": self._needed("to_district")})
            case "agency":
                return _filled({"agency": self._needed("to_agency")})
            case _:
                return None

    # -- moments ---------------------------------------------------------------------------------

    def _needed_by(self) -> str | None:
        by = self._moment("requested_day", "requested_time", END_OF_DAY)
        if by is not None and by < self._now:
            self._tell(
                self._day_or_time(by, "requested_day", "requested_time"),
                "もう過ぎています。これからの日時を書いてください",
                "This is over already; write one that is still to come",
            )
        return by.isoformat() if by is not None else None

    def _obtained_at(self) -> str | None:
        """Of a consent the record says when; no time is put there that nobody wrote."""
        at = self._moment("obtained_day", "obtained_time", None)
        if at is not None and at > self._now:
            self._tell(
                self._day_or_time(at, "obtained_day", "obtained_time"),
                "まだ来ていない日時です。同意を得た日時を書いてください",
                "This is still to come; write when the consent was given",
            )
        return at.isoformat() if at is not None else None

    def _day_or_time(self, moment: datetime, day_name: str, time_name: str) -> str:
        """Which of the two is wrong: today it is the time."""
        return time_name if local_day(moment) == local_day(self._now) else day_name

    # -- one field -------------------------------------------------------------------------------

    def _of(self, name: str) -> str | None:
        """As it was typed, without the space around it; None where nothing was."""
        return next(iter(self._typed.get(name, ())), "").strip() or None

    def _all(self, name: str) -> list[str] | None:
        return [value for value in self._typed.get(name, ()) if value] or None

    def _yes_or_no(self, name: str) -> bool | None:
        return {"yes": True, "no": False}.get(self._of(name) or "")

    def _needed(self, name: str) -> str | None:
        value = self._of(name)
        if value is None:
            ja, en = label(name)
            chosen = name not in _TEXTS
            self._tell(
                name,
                f"{ja}を{'選んで' if chosen else '書いて'}ください",
                f"{en}: please {'choose' if chosen else 'write something'}",
                plain=True,
            )
        return value

    def _read(self, name: str, reader: Callable[[str], _Read | Unread]) -> _Read | None:
        value = self._of(name)
        if value is None:
            return None
        found = reader(value)
        if isinstance(found, Unread):
            self._tell(name, found.ja, found.en)
            return None
        return found

    def _moment(self, day_name: str, time_name: str, otherwise: time | None) -> datetime | None:
        """``otherwise``: the time of a day without one; None: it must be written."""
        day = self._read(day_name, read_date)
        at = self._read(time_name, read_time)
        if day is None:
            if at is not None and self._of(day_name) is None:
                self._tell(day_name, "日も書いてください", "Write the day, too")
            return None
        if at is None and self._of(time_name) is None:
            at = otherwise
            if at is None:
                self._tell(
                    time_name,
                    "時刻も書いてください。およそで構いません",
                    "Write the time, too; roughly will do",
                )
        return read_moment(day, at) if at is not None else None

    def _tell(self, name: str, ja: str, en: str, *, plain: bool = False) -> None:
        """``plain``: the words say already which field it is."""
        if any(problem.field == name for problem in self._problems):
            return
        is_called, called = label(name)
        if not plain:
            ja, en = f"{is_called}: {ja}", f"{called}: {en}"
        self._problems.append(Problem(name, ja, en))

    def _refuse_what_cannot_be_kept(self) -> None:
        for name in FIELDS:
            most = TEXT if name in _TEXTS else LINE
            if name == "summary":
                most -= len(self._came())
            for value in self._typed.get(name, ()):
                refused = refuse_text(value)
                if has_my_number(value):
                    self._tell(name, *_MY_NUMBER)
                elif refused is not None:
                    self._tell(name, refused.ja, refused.en)
                elif len(value.strip()) > most:
                    self._tell(
                        name,
                        f"{most:,}文字までです（いまは{len(value.strip()):,}文字）",
                        f"{most:,} characters at most; there are {len(value.strip()):,}",
                    )

    def _in_order(self) -> list[Problem]:
        place = {name: number for number, name in enumerate(FIELDS)}
        return sorted(self._problems, key=lambda problem: place.get(problem.field or "", 0))


def _filled(fields: JsonObject) -> JsonObject | None:
    """Without what is not there; None when nothing is."""
    there = {name: value for name, value in fields.items() if value not in (None, [], {})}
    return there or None


# -- what the counter answers ----------------------------------------------------------------------------


def told(document: JsonObject) -> list[Problem]:
    """The problems of a problem document (RFC 9457), each at its field."""
    errors = document.get("errors") or ()
    if not errors:
        return [_in_words(None, str(document.get("detail", "")))]
    return [_in_words(field_at(e["pointer"]), str(e["detail"])) for e in errors]


def field_at(pointer: str) -> str | None:
    """The form's field that a JSON pointer into the body is about."""
    place = pointer
    while place:
        if place in _PLACES:
            return _PLACES[place]
        place = place.rpartition("/")[0]
    return None


def _in_words(name: str | None, detail: str) -> Problem:
    """A detail says it in Japanese and English, parted by a slash."""
    ja, slash, en = detail.rpartition(" / ")
    if not slash:
        ja = en
    if name is not None:
        is_called, called = label(name)
        ja, en = f"{is_called}: {ja}", f"{called}: {en}"
    return Problem(name, ja, en)


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """One of each field, the first that was found, in the order of the page."""
    first: dict[str | None, Problem] = {}
    loose = []
    for problem in problems:
        if problem.field is None:
            loose.append(problem)
        else:
            first.setdefault(problem.field, problem)
    return [*loose, *(first[name] for name in FIELDS if name in first)]
