"""A partner's system in Python: the client is written by openapi-python-client, nothing is of ours. It
posts, answers, reads, is refused, and tells what it saw as one line of JSON. Runs in a virtualenv of its
own."""

# mypy: ignore-errors
import json
import os
from uuid import uuid4

from tsunagu_client import AuthenticatedClient
from tsunagu_client.api.read import read_inbox, read_referral
from tsunagu_client.api.refer import accept_handoff, decline_handoff, submit_referral
from tsunagu_client.models import (
    Acceptance,
    Address,
    AddressKind,
    Consent,
    Decline,
    Person,
    ReferralSubmission,
    SaidBy,
    Urgency,
)


def of(key: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=os.environ["TSUNAGU_URL"], token=os.environ[key])


sender, hub = of("SENDER_KEY"), of("HUB_KEY")
posted = submit_referral.sync(
    client=sender,
    idempotency_key=str(uuid4()),
    body=ReferralSubmission(
        function="emergency",
        urgency=Urgency.URGENT,
        person=Person(name="サンプル 次郎", phone="03-0000-0000"),
        address=Address(text="文京区本郷二丁目21番3号", kind=AddressKind.REGISTERED),
        summary="母が急病で入院。今夜から介護者不在。",
        consent=Consent(basis="C2"),
    ),
)
offer = posted.handoffs[0]
accept_handoff.sync(client=hub, ref=offer.id, body=Acceptance())
read = read_referral.sync(client=hub, ref=str(posted.id))
inbox = read_inbox.sync(client=hub, limit=1000)
again = decline_handoff.sync(
    client=hub, ref=offer.id, body=Decline(said_by=SaidBy.AGENCY, reason="no_capacity")
)
print(
    json.dumps(
        {
            "number": posted.number,
            "offered_by": offer.from_,
            "custodian": read.custodian,
            "stage": read.stage,
            "name": read.person.name,
            "numbers": [item.number for item in inbox.items],
            "refused": again.code,
        }
    )
)
