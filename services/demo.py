"""A day of referrals, played over HTTP as the agencies' own systems would (`tsunagu demo`).

Every line it tells comes from an answer of the running network. All persons are samples (見本).
"""

import contextlib
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
from rich.console import Console

from runtime.nats_server import free_port
from runtime.settings import Settings
from services.audit import commands as audit
from services.supervisor import AlreadyRunning, Network, running_url
from wards.model import Ward


class DemoFailed(RuntimeError):
    """The network answered something that the story does not tell of."""


@dataclass
class Day:
    """One day: the network's address, the agencies' keys, and where it is told."""

    client: httpx.Client
    keys: dict[str, str]
    ward: Ward
    out: Console

    # -- telling ---------------------------------------------------------------------------------

    def name(self, agency: str) -> str:
        found = self.ward.agency(agency)
        return found.name if found else agency

    def chapter(self, ja: str, en: str) -> None:
        self.out.print(f"\n[bold]{ja}[/]  [dim]{en}[/]")

    def tell(self, agency: str, did: str, answer: httpx.Response) -> dict[str, Any]:
        """One line: who did what, and what the network said."""
        body: dict[str, Any] = answer.json()
        if answer.status_code >= 400:
            told = f"[yellow]{body['code']}[/]"
        else:
            district = body.get("district") or {}
            where = (
                f"  地区 {district['id'] or '未定: ' + '・'.join(district['candidates'])}"
                f" ({district['basis']})"
                if district
                else ""
            )
            told = (
                f"{body['number']} [cyan]{body['stage']}[/]"
                f"  担当 {self.name(body['custodian'])}{where}"
            )
        self.out.print(
            f"  {self.name(agency)}  {did} → {answer.status_code} {told}", soft_wrap=True
        )
        return body

    # -- doing -----------------------------------------------------------------------------------

    def post(
        self, agency: str, path: str, body: dict[str, Any], did: str, expect: int = 200
    ) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self.keys[agency]}",
            "Idempotency-Key": f"demo-{uuid4()}",
        }
        answer = self.client.post(path, json=body, headers=headers)
        told = self.tell(agency, did, answer)
        if answer.status_code != expect:
            raise DemoFailed(f"{path}: {answer.status_code} instead of {expect}")
        return told

    def submit(self, agency: str, address: str, expect: int = 201, **more: Any) -> dict[str, Any]:
        body = {
            "function": "consultation",
            "urgency": "routine",
            "person": {"name": "見本 花子", "kana": "ミホン ハナコ", "phone": "03-0000-0000"},
            "address": {"text": address},
            "summary": "見本の相談です。親亡き後の暮らしについて。",
            "consent": {"basis": "C1"},
            **more,
        }
        return self.post(agency, "/v1/referrals", body, f"「{address}」の件を送る", expect)

    def accept(self, agency: str, referral: dict[str, Any]) -> dict[str, Any]:
        handoff = self.open_handoff(referral, agency)
        return self.post(agency, f"/v1/handoffs/{handoff}/accept", {}, "受諾する")

    def offer(
        self,
        agency: str,
        referral: dict[str, Any],
        to: list[str],
        kind: str,
        note: str,
        **more: Any,
    ) -> dict[str, Any]:
        did = (
            f"{'・'.join(map(self.name, to))}へ{'引き継ぎ' if kind == 'transfer' else '依頼'}を打診"
        )
        body = {"to": to, "kind": kind, "note": note, **more}
        return self.post(agency, f"/v1/referrals/{referral['id']}/handoffs", body, did, 201)

    @staticmethod
    def open_handoff(referral: dict[str, Any], to: str) -> str:
        for handoff in referral["handoffs"]:
            if handoff["to"] == to and handoff["state"] == "offered":
                return str(handoff["id"])
        raise DemoFailed(f"nothing is offered to {to}")

    # -- the day ---------------------------------------------------------------------------------

    def four_districts(self) -> None:
        self.chapter("住所から地区へ", "the address finds the district, the hub answers")
        for district, address in (
            ("motofuji", "文京区本郷二丁目２１番３号"),
            ("komagome", "文京区千駄木3-1-1"),
            ("tomisaka", "東京都文京区小石川３丁目１番１号"),
            ("otsuka", "大塚5-1-1"),
        ):
            referral = self.submit(f"anshin-{district}", address)
            self.accept(f"hub-{district}", referral)

    def by_elimination(self) -> None:
        self.chapter("表にない番は消去法で", "西片1-19 is in nobody's list but one")
        referral = self.submit("anshin-tomisaka", "西片1-19")
        self.accept("hub-tomisaka", referral)

    def ruled_by_core(self) -> None:
        self.chapter("決められない住所は基幹が判定", "never guessed: the core centre rules")
        referral = self.submit("anshin-tomisaka", "白山1-1")
        path = f"/v1/referrals/{referral['id']}/ruling"
        referral = self.post("core", path, {"district": "tomisaka"}, "富坂と判定する")
        self.accept("hub-tomisaka", referral)

    def handed_onward(self) -> None:
        self.chapter("転居に伴い次の拠点へ", "transferred onward, custody moves on acceptance")
        referral = self.submit("anshin-motofuji", "湯島2-1-1")
        referral = self.accept("hub-motofuji", referral)
        note = "見本: 千駄木へ転居。経過は別紙。"
        referral = self.offer("hub-motofuji", referral, ["hub-komagome"], "transfer", note)
        self.accept("hub-komagome", referral)

    def declined(self) -> None:
        self.chapter("辞退されたら別の機関へ", "declined, and offered elsewhere")
        referral = self.submit("anshin-komagome", "本駒込3-1-1")
        handoff = self.open_handoff(referral, "hub-komagome")
        answer = {"said_by": "agency", "reason": "staff_shortage", "text": "見本: 担当者が不在。"}
        referral = self.post("hub-komagome", f"/v1/handoffs/{handoff}/decline", answer, "辞退する")
        referral = self.offer(
            "anshin-komagome",
            referral,
            ["hub-tomisaka", "core"],
            "transfer",
            "見本: お願いします。",
        )
        self.accept("core", referral)

    def short_stay(self) -> dict[str, Any]:
        self.chapter("短期入所を依頼、担当は拠点のまま", "a bed is asked for, custody stays")
        referral = self.submit(
            "anshin-otsuka",
            "音羽1-2-3",
            function="emergency",
            urgency="urgent",
            requested_action="short_stay",
            summary="見本: 介護者の入院が決まり、来週の短期入所を要する。",
        )
        referral = self.accept("hub-otsuka", referral)
        referral = self.offer(
            "hub-otsuka", referral, ["lien-bunkyo"], "request", "見本: 3泊。", function="emergency"
        )
        handoff = self.open_handoff(referral, "lien-bunkyo")
        self.post("lien-bunkyo", f"/v1/handoffs/{handoff}/accept", {}, "受諾する")
        self.post(
            "lien-bunkyo", f"/v1/handoffs/{handoff}/complete", {"outcome": "got_help"}, "完了を報告"
        )
        path = f"/v1/referrals/{referral['id']}/close"
        return self.post("hub-otsuka", path, {"outcome": "got_help"}, "終結する")

    def refused(self) -> None:
        self.chapter("誤りのある依頼は、場所を示して返す", "a bad POST gets a clear error")
        problem = self.submit("sample-hospital", "本郷九丁目1-1", expect=422)
        for error in problem["errors"]:
            self.out.print(f"    {error['pointer']}: {error['detail']}", markup=False)

    # -- the record ------------------------------------------------------------------------------

    def await_ledger(self) -> None:
        """Until audit has signed for everything that was decided."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            page = self.client.get("/metrics").text
            figures = {
                line.split('figure="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1])
                for line in page.splitlines()
                if line.startswith("tsunagu_figure{")
            }
            if 0 < figures.get("journal_entries", 0) <= figures.get("ledger_signed", 0):
                return
            time.sleep(0.05)
        raise DemoFailed("the ledger did not complete")


def play(settings: Settings, ward: Ward, out: Console) -> int:
    """Start the network (or join the one that runs in this home), play the day, replay and verify.
    Gives the exit status."""
    with _network(settings, out) as settings:
        keys = tomllib.loads((settings.home / "keys.toml").read_text("utf-8"))
        url = running_url(settings.home)
        with httpx.Client(base_url=url, timeout=10) as client:
            day = Day(client, keys, ward, out)
            try:
                day.four_districts()
                day.by_elimination()
                day.ruled_by_core()
                day.handed_onward()
                day.declined()
                closed = day.short_stay()
                day.refused()
                day.await_ledger()
            except (DemoFailed, httpx.HTTPError) as failure:
                out.print(f"[red]{type(failure).__name__}: {failure}[/]")
                return 1
        day.chapter("記録をたどる", f"tsunagu replay {closed['number']}")
        history = audit.replay_ledger(settings, ward, closed["number"], None)
        if history is None:
            out.print("[red]no history in the ledger[/]")
            return 1
        history.tell(out)
        day.chapter("台帳を検証する", "tsunagu verify")
        report = audit.verify_ledger(settings, None)
        audit.tell_report(report, out)
        return report.exit_code


@contextlib.contextmanager
def _network(settings: Settings, out: Console) -> Iterator[Settings]:
    began = time.monotonic()
    network = Network(replace(settings, port=free_port()))
    try:
        network.start()
    except AlreadyRunning:
        out.print(f"動いているネットワークに加わります / joining {running_url(settings.home)}")
        yield settings
        return
    try:
        network.wait_until_ready()
        out.print(f"つなぐ ready {network.url}  ({time.monotonic() - began:.1f} s)")
        yield network.settings
    finally:
        network.stop()
