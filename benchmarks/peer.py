"""E: the same journey with the PyPI package `eventsourcing`, on SQLite, in one process: no HTTP, no
messaging, no sealing, no ledger. Three events a journey; and its replay."""

import os
import time
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Referral(Aggregate):
    @event("Submitted")
    def __init__(self, number: str, sender: str, summary: str) -> None:
        self.number = number
        self.custodian = sender
        self.offered_to = ""
        self.summary = summary

    @event("Offered")
    def offer(self, handoff: str, receiver: str) -> None:
        self.handoff = handoff
        self.offered_to = receiver

    @event("Accepted")
    def accept(self, receiver: str) -> None:
        self.custodian = receiver


class Network(Application[UUID]):
    def submit(self, number: int) -> UUID:
        referral = Referral(number=str(number), sender="anshin-motofuji", summary="見本" * 50)
        referral.offer(handoff=str(number), receiver="hub-motofuji")
        self.save(referral)
        return referral.id

    def accept(self, referral_id: UUID) -> None:
        referral: Referral = self.repository.get(referral_id)
        referral.accept(receiver="hub-motofuji")
        self.save(referral)


def measure(home: Path, seconds: float) -> tuple[float, float]:
    """Journeys/s saved, and events/s replayed."""
    home.mkdir(parents=True)
    os.environ |= {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(home / "peer.db"),
    }
    network = Network()
    ids = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        referral = network.submit(len(ids))
        network.accept(referral)
        ids.append(referral)
    journeys = len(ids) / (time.perf_counter() - began)
    began = time.perf_counter()
    for referral in ids:
        network.repository.get(referral)
    replayed = 3 * len(ids) / (time.perf_counter() - began)
    network.close()
    return journeys, replayed
