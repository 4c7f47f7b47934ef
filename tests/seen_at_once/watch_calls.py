"""Calls to the core centre as the network tells them: ``a_call("E07").due_in(minutes=12)``."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from schemas.partner import BurningGiven
from services.intake.directory import directory
from wards.load import bundled_ward, load_ward
from watch.board import Names

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)  # Friday, 17:00 in Tokyo
WARD = load_ward(bundled_ward())
DIRECTORY = directory(WARD, NOW.date())
NAMES = Names.of(DIRECTORY)


@dataclass(frozen=True)
class ACall:
    """Raised five minutes before ``at``, at the on-call desk, with a quarter of an hour to answer."""

    code: str
    count: int
    at: datetime
    fields: dict[str, Any] = field(default_factory=dict)
    id: UUID = field(default_factory=uuid4)

    def having(self, **fields: Any) -> "ACall":
        return replace(self, fields={**self.fields, **fields})

    def due_in(self, **length: float) -> "ACall":
        return self.having(due_at=self.at + timedelta(**length))

    def raised_ago(self, **length: float) -> "ACall":
        return self.having(raised_at=self.at - timedelta(**length))

    def acknowledged(self, by: str = "core") -> "ACall":
        return self.having(state="acknowledged", acknowledged_at=self.at, acknowledged_by=by)

    def resolved(self) -> "ACall":
        return self.having(state="resolved", resolved_at=self.at, disposition="advised")

    @property
    def number(self) -> str:
        return f"131059-2026-{self.count:06d}"

    def told(self, change: int) -> BurningGiven:
        return BurningGiven.model_validate(
            {
                "id": self.id,
                "code": self.code,
                "state": "raised",
                "raised_at": self.at - timedelta(minutes=5),
                "raised_by": "network",
                "desk": "core-on-call",
                "due_at": self.at + timedelta(minutes=15),
                "referral": UUID(int=self.count),
                "number": self.number,
                "function": "emergency",
                "urgency": "emergency",
                "stage": "offered",
                "custodian": "anshin-motofuji",
                "district": "motofuji",
                "change": change,
                **self.fields,
            }
        )


def a_call(code: str = "E07", count: int = 1, at: datetime = NOW) -> ACall:
    return ACall(code, count, at)
