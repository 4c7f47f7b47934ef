"""A typed Python client for partner agencies (関係機関のための Python クライアント).

The folder stands alone: copy it into a system of your own; it needs ``httpx`` and ``pydantic`` and
nothing else of this project. ``models`` and ``calls`` are written from the published OpenAPI
document::

    with Client("https://tsunagu.example", key=open("agency.key").read()) as tsunagu:
        referral = tsunagu.submit_referral(ReferralSubmission(...), idempotency_key="OUR-2026-0001")
        for item in tsunagu.inbox(after=known):
            ...
"""

from . import models
from .access import PrivateKeyJwt
from .client import Client, what_happened
from .problem import NotDecidedYet, Problem, Unreachable
from .streams import Gap, StreamEvent

__all__ = [
    "Client",
    "Gap",
    "NotDecidedYet",
    "PrivateKeyJwt",
    "Problem",
    "StreamEvent",
    "Unreachable",
    "models",
    "what_happened",
]
