"""The slip (書き取り票): our body as it is being written from a FHIR parcel, with where each field came
from, so that a mistake is told in the sender's own terms. Pure but for itself."""

from typing import Any

from pydantic_core import to_json

from schemas.base import JsonObject
from schemas.problems import FieldProblem, ProblemCode, Refusal
from services.intake.fhir.bounds import MOST_TOLD


class Slip:
    def __init__(self, root: str) -> None:
        """``root``: the expression for what stands nowhere."""
        self.body: JsonObject = {}
        self._root = root
        self._where: dict[str, str] = {}
        self._mistakes: list[FieldProblem] = []

    def put(self, pointer: str, value: Any, expression: str) -> None:
        """Write a field (``/person/name``), and note where it came from."""
        *parents, name = pointer.split("/")[1:]
        body = self.body
        for parent in parents:
            body = body.setdefault(parent, {})
        body[name] = value
        self._where[pointer] = expression

    def expect(self, pointer: str, expression: str) -> None:
        """Where a field would have been, unless it is there."""
        self._where.setdefault(pointer, expression)

    def has(self, pointer: str) -> bool:
        body: Any = self.body
        for name in pointer.split("/")[1:]:
            body = body.get(name) if isinstance(body, dict) else None
        return body is not None

    def wrong(self, expression: str, detail: str) -> None:
        self._mistakes.append(FieldProblem(expression, detail))

    @property
    def refusal(self) -> Refusal | None:
        """Everything that was found wrong while writing."""
        if not self._mistakes:
            return None
        mistakes = tuple(dict.fromkeys(self._mistakes))[:MOST_TOLD]
        return Refusal(ProblemCode.INVALID_REQUEST, mistakes)

    def raw(self) -> bytes:
        return to_json(self.body)

    def expression(self, pointer: str) -> str:
        """Where in FHIR the field at a JSON pointer of ours came from, or would have."""
        while pointer:
            if pointer in self._where:
                return self._where[pointer]
            pointer = pointer.rpartition("/")[0]
        return self._root
