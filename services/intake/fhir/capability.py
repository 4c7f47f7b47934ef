"""``GET /fhir/metadata``: what is offered (https://hl7.org/fhir/R4/capabilitystatement.html)."""

from schemas.base import JsonObject

VERSION = "4.0.1"
_SINCE = "2026-11-22"


def capability(ward_name: str) -> JsonObject:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _SINCE,
        "kind": "instance",
        "implementation": {
            "description": f"つなぐ: {ward_name}の地域生活支援拠点ネットワーク / Tsunagu: a ward's referral network"
        },
        "fhirVersion": VERSION,
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "POST [base] は Bundle か ServiceRequest を一件の依頼として受け付けます / POST "
                "[base] takes a Bundle or a ServiceRequest as one referral",
                "security": {
                    "description": "機関の鍵または OAuth 2.0 / an agency's key, or OAuth 2.0"
                },
                "resource": [
                    {
                        "type": "ServiceRequest",
                        "interaction": [{"code": "read"}],
                        "versioning": "versioned",
                    },
                    {
                        "type": "Task",
                        "interaction": [
                            {"code": "read"},
                            {"code": "update"},
                            {"code": "search-type"},
                        ],
                        "versioning": "versioned-update",
                        "updateCreate": False,
                        "searchParam": [{"name": "based-on", "type": "reference"}],
                    },
                ],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }
