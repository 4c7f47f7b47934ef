"""How a played agency answers what it is offered (答え方). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Accept:
    """受諾する"""


@dataclass(frozen=True, slots=True)
class Decline:
    """辞退する"""

    reason: str


@dataclass(frozen=True, slots=True)
class Silence:
    """答えない"""


Answer = Accept | Decline | Silence


@dataclass(frozen=True, slots=True)
class Rules:
    """``after``: seconds before an answer. ``by_function``: where one function is answered otherwise."""

    otherwise: Answer = field(default_factory=Accept)
    by_function: Mapping[str, Answer] = field(default_factory=dict)
    after: float = 0.0

    def answer(self, function: str) -> Answer:
        return self.by_function.get(function, self.otherwise)


def read_answer(text: str) -> Answer:
    """``accept``, ``decline:CODE`` or ``ignore``; raises ValueError."""
    word, _, reason = text.partition(":")
    match word:
        case "accept" if not reason:
            return Accept()
        case "decline" if reason:
            return Decline(reason)
        case "ignore" if not reason:
            return Silence()
    raise ValueError("accept, decline:CODE, ignore")


def read_rules(texts: Iterable[str]) -> dict[str, Answer]:
    """Each ``FUNCTION=ANSWER``; raises ValueError."""
    rules: dict[str, Answer] = {}
    for text in texts:
        function, equals, answer = text.partition("=")
        if not equals or not function:
            raise ValueError("FUNCTION=accept, FUNCTION=decline:CODE, FUNCTION=ignore")
        rules[function] = read_answer(answer)
    return rules
