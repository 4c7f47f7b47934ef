"""Runs the checks against an endpoint, and tells what was found in both languages, or as JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from partners.conformance.checks import CHECKS, Check
from partners.conformance.sending import Endpoint, Seen


@dataclass(frozen=True, slots=True)
class Finding:
    check: Check
    passed: bool
    seen: tuple[Seen, ...]

    @property
    def statuses(self) -> str:
        return " ".join(str(one) for one in self.seen)


def examine(endpoint: Endpoint, told: Callable[[Finding], None] = lambda _: None) -> list[Finding]:
    """Every check, in order; ``told`` hears of each as it is done. An endpoint that does not answer
    at all is not asked eighteen times."""
    findings: list[Finding] = []
    for check in CHECKS:
        passed, seen = check.passes(endpoint)
        findings.append(Finding(check, passed, tuple(seen)))
        told(findings[-1])
        if check.name == "good" and seen[0].status is None:
            break
    return findings


def whole(findings: list[Finding]) -> bool:
    return len(findings) == len(CHECKS) and all(finding.passed for finding in findings)


def document(findings: list[Finding], slowest: float) -> dict[str, Any]:
    return {
        "passed": whole(findings),
        "slowest_ms": round(slowest * 1000),
        "checks": [
            {
                "name": finding.check.name,
                "passed": finding.passed,
                "ja": finding.check.ja,
                "en": finding.check.en,
                "seen": [one.status or one.error for one in finding.seen],
                **({} if finding.passed else {"mend": list(finding.check.mend)}),
            }
            for finding in findings
        ],
    }


def tell(findings: list[Finding], slowest: float, out: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "確かめたこと", "Checked", "答え / Seen"):
        table.add_column(heading)
    for finding in findings:
        mark = "[green]○[/]" if finding.passed else "[red]×[/]"
        table.add_row(mark, finding.check.ja, finding.check.en, finding.statuses)
    out.print(table)
    for mend in dict.fromkeys(f.check.mend for f in findings if not f.passed):
        out.print(f"  {mend[0]}\n  [dim]{mend[1]}[/]", soft_wrap=True)
    if len(findings) < len(CHECKS):
        out.print("受け口から答えがありません / the endpoint does not answer", style="red")
    passed = sum(finding.passed for finding in findings)
    style = "green" if whole(findings) else "red"
    out.print(
        f"{passed}/{len(CHECKS)} 適合 / conform  最も遅い答え / slowest {slowest:.2f} s",
        style=style,
    )
    out.print(
        "同じ出来事が二度来ても一度しか効かないことは、外からは確かめられません。貴機関の記録でご確認ください。\n"
        "[dim]That an event that comes twice has one effect cannot be seen from outside: look in "
        "your own records.[/]",
        soft_wrap=True,
    )
