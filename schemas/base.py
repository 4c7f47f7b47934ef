"""What every said thing has in common."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, TypeAdapter

WardCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
"""全国地方公共団体コード, six digits with the check digit: 131059 is 文京区."""

AgencyId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
NETWORK = "network"
"""Who acts when a clock runs out: no agency, the network itself."""

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$")]
"""A code of the ward's own tables (functions, reasons, outcomes …), or an escalation's E01-E13."""

Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 or HMAC-SHA-256 value in lower-case hexadecimal."""

ReferralNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}-[0-9]{4}-[0-9]{6,}$")]
"""The number people say on the phone: ward, year, gapless count (131059-2026-000001)."""

ReferralRef = UUID | ReferralNumber


class Said(BaseModel):
    """Something said on the bus. Frozen; fields unknown to the reader are ignored, so a writer may
    say more without a new version; a *changed* shape gets a new version.

    Input values are kept out of error texts: they may be personal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Read one message; raises ``pydantic.ValidationError`` for anything else."""
        return cls.model_validate_json(data)

    def to_json(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()


Moment = AwareDatetime
"""A point in time; always with its offset."""

JsonObject = dict[str, Any]
json_object: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
