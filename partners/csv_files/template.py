"""An empty sheet to begin with (ひな形): every column, and one row that shows how it is filled in.

The person in it is a sample. Its basis is N (no personal data): were the row posted by mistake, it
would be refused for the personal data in it.
"""

from partners.csv_files import writing
from schemas.base import JsonObject

SAMPLE: JsonObject = {
    "sender_reference": "SAMPLE-2026-0001",
    "staff": "サンプル 花子（相談員）",
    "function": "emergency",
    "urgency": "urgent",
    "requested_action": "short_stay",
    "requested_by": "2026-04-01T17:00:00+09:00",
    "topics": ["after_parents", "loneliness"],
    "reported_by": "family",
    "person": {
        "name": "サンプル 太郎",
        "kana": "サンプル タロウ",
        "birth_date": "1980-04-01",
        "phone": "03-0000-0000",
        "preferred_contact": "phone",
        "communication": "ゆっくり、短い文で話す",
        "emergency_contacts": [
            {"name": "サンプル 次郎", "relation": "弟", "phone": "03-0000-0001"},
            {"name": "サンプル 三郎", "relation": "叔父", "phone": "03-0000-0002"},
        ],
    },
    "address": {"text": "文京区本郷二丁目21番3号", "kind": "registered"},
    "household": "with_ageing_parents",
    "registered": True,
    "needs": {
        "disability_kinds": ["intellectual"],
        "handbooks": [{"kind": "愛の手帳", "grade": "3度"}],
        "support_category": 4,
        "medical_care": [1, 3],
        "handbook_held": True,
        "current_services": [{"code": "22", "provider_number": "1300000000"}],
        "doctor": "サンプル医院",
    },
    "complaint": "家にいたい。",
    "summary": "これは書き方の見本です。この行を消してから使ってください。",
    "risks": "服薬の見守りが必要。",
    "consent": {"basis": "N"},
}


def template() -> str:
    return writing.sheet([SAMPLE], {})
