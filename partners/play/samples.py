"""Cases to post (見本の件). The persons are plainly samples; the places are the sample ward's."""

from datetime import UTC, datetime
from typing import Any

from partners.client.models import ReferralSubmission

_PERSON = {"name": "サンプル 太郎", "kana": "サンプル タロウ", "birth_date": "1980-04-01"}
_CASES: dict[str, dict[str, Any]] = {
    "emergency": {
        "function": "emergency",
        "urgency": "emergency",
        "requested_action": "short_stay",
        "address": {"text": "文京区本郷二丁目21番3号"},
        "household": "with_ageing_parents",
        "summary": "見本：母が急病で入院。今夜から介護者不在。",
    },
    "urgent": {
        "function": "emergency",
        "urgency": "urgent",
        "requested_action": "short_stay",
        "address": {"text": "文京区本郷三丁目2番1号"},
        "summary": "見本：介護者が通院のため、今週の預かり先を探している。",
    },
    "consultation": {
        "function": "consultation",
        "urgency": "routine",
        "requested_action": "living_support",
        "topics": ["after_parents"],
        "address": {"text": "文京区本郷四丁目5番6号"},
        "summary": "見本：親が亡くなった後の暮らしを相談したい。",
    },
    "trial": {
        "function": "experience",
        "urgency": "routine",
        "requested_action": "living_alone_trial",
        "address": {"text": "文京区本郷五丁目7番8号"},
        "summary": "見本：一人暮らしを体験してみたい。",
    },
    "undecidable": {
        "function": "consultation",
        "urgency": "routine",
        "address": {"text": "文京区白山一丁目1番8号"},
        "summary": "見本：二つの地区にまたがる町の件。地区は基幹が判定する。",
    },
}

NAMES = tuple(_CASES)


def case(name: str) -> ReferralSubmission:
    return ReferralSubmission.model_validate(
        {
            **_CASES[name],
            "person": _PERSON,
            "consent": {"basis": "C2", "obtained_at": datetime.now(UTC)},
        }
    )
