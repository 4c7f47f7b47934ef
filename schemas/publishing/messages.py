"""Every message that is published: what is asked, what happened, what is answered, and what partners
send and get.

A message is a type and a version. A changed shape is another type with the next version, beside the
old one for as long as somebody may still say it.
"""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from schemas import commands, deliveries, events, looks, partner, queries
from schemas.journal import ConsoleEntry, DeliveryEntry, JournalEntry


@dataclass(frozen=True, slots=True)
class Message:
    model: type[BaseModel]
    version: int = 1

    @property
    def name(self) -> str:
        """``ReferralSubmission`` → ``referral_submission``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.model.__name__).lower()

    @property
    def id(self) -> str:
        return f"urn:tsunagu:schema:{self.name}:v{self.version}"

    @property
    def file(self) -> str:
        return f"{self.name}.v{self.version}.json"


INTERNAL: tuple[type[commands.Asked], ...] = (commands.StrikeClock,)
"""What the deciding service asks of itself. Nobody may send it, so it is published nowhere."""

ACTIONS = tuple(kind for kind in commands.ACTION_TYPES if kind not in INTERNAL)

ENVELOPES: tuple[type[BaseModel], ...] = (
    commands.Command,
    commands.Answer,
    JournalEntry,
    DeliveryEntry,
    ConsoleEntry,
)
TOLD: tuple[type[BaseModel], ...] = (*events.EVENT_TYPES, *deliveries.DELIVERY_EVENT_TYPES)
"""What may be told to agencies."""
HAPPENED: tuple[type[BaseModel], ...] = (*TOLD, *looks.LOOK_EVENT_TYPES)
QUERIES: tuple[type[BaseModel], ...] = (
    queries.ReadReferral,
    queries.ReadHistory,
    queries.ListReferrals,
    queries.ListStanding,
    queries.ReadAnswer,
    queries.Locate,
    queries.RehearseSubmissions,
    queries.SettleDistrict,
    queries.ListEscalations,
    queries.ReadOverview,
    queries.CallCounter,
    queries.CounterSaid,
    queries.OpenAttachment,
    queries.BeginAttachment,
    queries.MovePiece,
    queries.FileSaid,
    queries.ReadInbox,
    queries.ReadManifest,
    queries.SignManifest,
    queries.SendTest,
    queries.ReadTest,
    queries.ReplayReferral,
    queries.ReplayWard,
    queries.ReadMonth,
    queries.ReadReceipt,
    queries.ReadCheckpoint,
    queries.VerifyLedger,
    queries.ExportReferral,
    queries.Told,
    queries.AskStatus,
    queries.ServiceStatus,
)
SENT: tuple[type[partner.Sent], ...] = (
    partner.ReferralSubmission,
    partner.ReferralBatch,
    partner.AddressToLocate,
    partner.HandoffOffer,
    partner.Acceptance,
    partner.Decline,
    partner.Withdrawal,
    partner.Completion,
    partner.Ruling,
    partner.EscalationCall,
    partner.Acknowledgement,
    partner.Resolution,
    partner.Note,
    partner.Closing,
    partner.Cancelling,
    partner.Reopening,
)
GIVEN: tuple[type[partner.Given], ...] = (
    partner.ReferralGiven,
    partner.ReferralList,
    partner.EscalationList,
    partner.HistoryGiven,
    partner.InboxGiven,
    partner.ManifestGiven,
    partner.DeliveryTestGiven,
    partner.CloudEvent,
    partner.DirectoryGiven,
    partner.RequestGiven,
    partner.ProblemGiven,
    partner.CheckGiven,
    partner.BatchGiven,
    partner.AddressLocated,
)
MESSAGES: tuple[Message, ...] = tuple(
    Message(model)
    for model in (
        *ENVELOPES,
        *ACTIONS,
        *HAPPENED,
        *QUERIES,
        *SENT,
        *GIVEN,
    )
)


def reader(message: Message) -> TypeAdapter[Any]:
    """How the network reads a message: an action or event only by its ``type``."""
    if message.model in commands.ACTION_TYPES:
        return TypeAdapter(commands.Action)
    if message.model in events.EVENT_TYPES:
        return events.event_adapter
    if message.model in deliveries.DELIVERY_EVENT_TYPES:
        return TypeAdapter(deliveries.DeliveryEvent)
    if message.model in looks.LOOK_EVENT_TYPES:
        return TypeAdapter(looks.LookEvent)
    return TypeAdapter(message.model)


def says(kind: type[BaseModel]) -> str:
    """The ``type`` that an action or event says of itself."""
    return str(kind.model_fields["type"].default)
