"""How the demo acts and tells: each agency's own system posts over HTTP, and every line that is told
comes from an answer of the running network. All persons are samples (見本)."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from rich.console import Console

from runtime.clock import shift
from schemas.outside import JAPAN
from schemas.publishing.words import VALUES
from wards.model import Ward

Answer = dict[str, Any]

_PATIENCE = 30.0  # seconds of the host, for what follows by itself
_WEEKDAYS = "月火水木金土日"


class DemoFailed(RuntimeError):
    """The network answered something that the story does not tell of."""


@dataclass
class Story:
    """The network's address, the agencies' keys, the file that moves its clock, and where it is told.

    ``clocks``: tell every clock that begins to run; otherwise only calls to the core centre."""

    client: httpx.Client
    keys: dict[str, str]
    ward: Ward
    out: Console
    clock: Path
    clocks: bool = False
    _told: dict[str, int] = field(default_factory=dict)  # of a referral's history, its version

    # -- time ------------------------------------------------------------------------------------

    def it_is(self, moment: datetime) -> None:
        """The clock of the whole network says ``moment``."""
        shift(self.clock, (moment - datetime.now(UTC)).total_seconds())

    def later(self, moment: datetime) -> None:
        """Time passes until ``moment``, and that is told."""
        self.it_is(moment)
        at = moment.astimezone(JAPAN)
        self.out.print(
            f"  [dim]時計を進める: {at.month}月{at.day}日({_WEEKDAYS[at.weekday()]}) {at:%H:%M}[/]"
        )

    # -- telling ---------------------------------------------------------------------------------

    def agency(self, agency: str) -> str:
        found = self.ward.agency(agency)
        return found.name if found else agency

    def desk(self, desk: str) -> str:
        found = self.ward.desk(desk)
        return f"{found.name} ({desk})" if found else desk

    def chapter(self, ja: str, en: str) -> None:
        self.out.print(f"\n[bold]{ja}[/]  [dim]{en}[/]", soft_wrap=True)

    def tell(self, agency: str, did: str, answer: httpx.Response) -> Answer:
        """One line: when, who did what, and what the network said."""
        body: Answer = answer.json()
        if answer.status_code >= 400:
            when, told = " " * 5, f"[yellow]{body['code']}[/]"
        else:
            when = _time(body["updated_at"])
            told = (
                f"{body['number']} [cyan]{body['stage']}[/]"
                f"  担当 {self.agency(body['custodian'])}{_where(body)}"
            )
        self._line(when, agency, f"{did} → {answer.status_code} {told}")
        return body

    def _line(self, when: str, agency: str, told: str) -> None:
        name = "つなぐ" if agency == "" else self.agency(agency)
        self.out.print(f"  {when}  {name}  {told}", soft_wrap=True)

    def _below(self, told: str) -> None:
        self.out.print(f"         [magenta]{told}[/]", soft_wrap=True)

    def follow(self, referral: Answer) -> None:
        """What is new in the history, of clocks and of calls."""
        for event in self._news(referral):
            told = self._of_a_clock(event["data"], referral)
            if told:
                self._below(told)

    def struck(self, referral: Answer, event_type: str) -> Answer:
        """Wait until a clock has struck, tell what it led to, and give the referral as it is then."""
        found: list[Answer] = []

        def happened() -> bool:
            found.extend(self._news(referral))
            return any(event["data"]["type"] == event_type for event in found)

        self.until(happened, f"no {event_type}")
        referral = self.read(self.ward.core, referral)
        for event in found:
            told = self._of_a_clock(event["data"], referral)
            if told:
                self._line(_time(event["time"]), "", f"[magenta]{told}[/]")
        return referral

    def _news(self, referral: Answer) -> list[Answer]:
        path = f"/v1/referrals/{referral['id']}/history"
        events: list[Answer] = self._get(self.ward.core, path)["items"]
        known = self._told.get(referral["id"], 0)
        self._told[referral["id"]] = max(event["data"]["version"] for event in events)
        return [event for event in events if event["data"]["version"] > known]

    def _of_a_clock(self, event: Answer, referral: Answer) -> str:
        """An event in words; empty where it is not about a clock."""
        codes = {call["id"]: call["code"] for call in referral["escalations"]}
        asked = {handoff["id"]: handoff["to"] for handoff in referral["handoffs"]}
        match event["type"]:
            case "handoff_offered" if self.clocks:
                withheld = "、だれの件かは受諾まで伏せる" if event["withheld"] else ""
                return f"打診 {self.agency(event['receiver'])}へ{withheld}{_until(event)}"
            case "handoff_expired":
                receiver = self.agency(asked[event["handoff"]])
                return (
                    f"{receiver}から返事がないまま、期限 {_date(event['overdue_since'])} が過ぎた"
                )
            case "escalation_raised":
                reason = self.ward.reason(event["code"])
                words = f"{event['code']} {reason.ja if reason else ''}"
                return f"上申 {words} → {self.desk(event['desk'])}{_until(event)}"
            case "escalation_passed_on":
                late = f"応答のないまま、期限 {_date(event['overdue_since'])} が過ぎた"
                code = codes[event["escalation"]]
                return f"{code} {late} → 次の窓口 {self.desk(event['desk'])}{_until(event)}"
            case "escalation_acknowledged":
                custodian = self.agency(event["custodian"])
                until = _until(event, "解決の期限")
                advice = "（助言のみ）" if event["advise_only"] else ""
                return f"{codes[event['escalation']]} 応答{advice}、担当 {custodian}{until}"
            case "escalation_resolved":
                word = VALUES["Disposition"][event["disposition"]]
                return f"{codes[event['escalation']]} 解決: {word}"
            case _:
                return ""

    # -- doing -----------------------------------------------------------------------------------

    def _headers(self, agency: str) -> dict[str, str]:
        if agency not in self.keys:
            raise DemoFailed(f"この区に {agency} はありません / no {agency} in this ward")
        return {"Authorization": f"Bearer {self.keys[agency]}"}

    def _get(self, agency: str, path: str) -> Answer:
        answer = self.client.get(path, headers=self._headers(agency))
        if answer.status_code != 200:
            raise DemoFailed(f"{path}: {answer.status_code} instead of 200")
        body: Answer = answer.json()
        return body

    def read(self, agency: str, referral: Answer) -> Answer:
        """As this agency may see it."""
        return self._get(agency, f"/v1/referrals/{referral['id']}")

    def post(self, agency: str, path: str, body: Answer, did: str, expect: int = 200) -> Answer:
        headers = self._headers(agency) | {"Idempotency-Key": f"demo-{uuid4()}"}
        answers: list[httpx.Response] = []

        def decided() -> bool:
            # On a busy machine the answer may come later; the same key is the same request.
            answers.append(self.client.post(path, json=body, headers=headers))
            return answers[-1].status_code not in (202, 503)

        self.until(decided, f"{path}: not decided")
        answer = answers[-1]
        told = self.tell(agency, did, answer)
        if answer.status_code != expect:
            raise DemoFailed(f"{path}: {answer.status_code} instead of {expect}")
        if "id" in told and (self.clocks or told["escalations"]):
            self.follow(told)
        return told

    def submit(
        self, agency: str, address: str, did: str = "件を送る", expect: int = 201, **more: Any
    ) -> Answer:
        body = {
            "function": "consultation",
            "urgency": "routine",
            "person": {"name": "見本 花子", "kana": "ミホン ハナコ", "phone": "03-0000-0000"},
            "address": {"text": address},
            "summary": "見本の相談です。親亡き後の暮らしについて。",
            "consent": {"basis": "C1"},
            **more,
        }
        return self.post(agency, "/v1/referrals", body, f"「{address}」の{did}", expect)

    def accept(self, agency: str, referral: Answer) -> Answer:
        handoff = open_handoff(referral, agency)
        return self.post(agency, f"/v1/handoffs/{handoff}/accept", {}, "受諾する")

    def decline(self, agency: str, referral: Answer, reason: str, text: str) -> Answer:
        answer = {"said_by": "agency", "reason": reason, "text": text}
        handoff = open_handoff(referral, agency)
        word = next((r.ja for r in self.ward.decline_reasons if r.code == reason), reason)
        return self.post(agency, f"/v1/handoffs/{handoff}/decline", answer, f"辞退する（{word}）")

    def offer(
        self, agency: str, referral: Answer, to: list[str], kind: str, note: str, **more: Any
    ) -> Answer:
        """``to`` nobody: whoever the ward lists for the function (空き照会)."""
        asked = f"{'・'.join(map(self.agency, to))}へ" if to else "宛先を書かずに"
        did = f"{asked}{'引き継ぎ' if kind == 'transfer' else '依頼'}を打診"
        body = {"kind": kind, "note": note, **more} | ({"to": to} if to else {})
        return self.post(agency, f"/v1/referrals/{referral['id']}/handoffs", body, did, 201)

    def acknowledge(self, agency: str, referral: Answer, code: str) -> Answer:
        call = open_call(referral, code)
        return self.post(
            agency, f"/v1/escalations/{call}/acknowledge", {}, f"{code} に応答し、引き受ける"
        )

    def resolve(
        self, agency: str, referral: Answer, code: str, disposition: str, text: str, **more: str
    ) -> Answer:
        call = open_call(referral, code)
        body = {"disposition": disposition, "text": text, **more}
        return self.post(agency, f"/v1/escalations/{call}/resolve", body, f"{code} を解決する")

    # -- the record ------------------------------------------------------------------------------

    def until(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise DemoFailed(otherwise)
            time.sleep(0.05)

    def await_ledger(self) -> None:
        """Until audit has signed for everything that was decided."""

        def signed() -> bool:
            page = self.client.get("/metrics").text
            figures = {
                line.split('figure="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1])
                for line in page.splitlines()
                if line.startswith("tsunagu_figure{")
            }
            return 0 < figures.get("journal_entries", 0) <= figures.get("ledger_signed", 0)

        self.until(signed, "the ledger did not complete")


def open_handoff(referral: Answer, to: str) -> str:
    return _first(referral["handoffs"], f"nothing is offered to {to}", to=to, state="offered")


def open_call(referral: Answer, code: str) -> str:
    calls = [call for call in referral["escalations"] if call["state"] != "resolved"]
    return _first(calls, f"no {code} is open", code=code)


def _first(items: Iterable[Answer], otherwise: str, **wanted: str) -> str:
    for item in items:
        if all(item[name] == value for name, value in wanted.items()):
            return str(item["id"])
    raise DemoFailed(otherwise)


def _where(body: Answer) -> str:
    district = body.get("district")
    if not district:
        return ""
    found = district["id"] or "未定: " + "・".join(district["candidates"])
    return f"  地区 {found} ({district['basis']})"


def _until(event: Answer, word: str = "期限") -> str:
    """``、期限 11/27 19:55（実時間 15分）``."""
    due = event.get("due")
    if due is None:
        return ""
    kind = VALUES["ClockKind"][due["clock"]]
    return f"、{word} {_date(due['at'])}（{kind} {_length(due)}）"


def _length(due: Answer) -> str:
    if "days" in due:
        return f"{due['days']}日"
    minutes: int = due["minutes"]
    return f"{minutes}分" if minutes % 60 else f"{minutes // 60}時間"


def _time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(JAPAN):%H:%M}"


def _date(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(JAPAN):%m/%d %H:%M}"
