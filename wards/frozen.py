"""What every type of a ward file has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Frozen(BaseModel):
    """Never changed after reading; a key nobody knows is a typing mistake, not a remark."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$")]
Number = Annotated[int, Field(ge=1, le=9999)]
"""A 丁目, 番 or 号: counted from one."""
