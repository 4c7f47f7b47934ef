"""What attachments are made of in one process: the one place where store and scanner are chosen."""

from dataclasses import dataclass

from litestar.handlers import HTTPRouteHandler
from sqlalchemy.engine import Engine

from runtime.broker import Bus
from runtime.clock import Clock
from runtime.settings import Settings
from services.intake.attachments.api import Attachments
from services.intake.attachments.keeper import Keeper
from services.intake.attachments.objects import Objects
from services.intake.attachments.reader import Reader
from services.intake.attachments.records import Records
from services.intake.attachments.scanner import Clamd
from services.intake.attachments.spool import Spool
from services.intake.attachments.store import Folder, Store
from services.intake.attachments.tending import Tending
from services.intake.edge import Edge
from services.intake.gateway import Gateway
from services.intake.identity import Names
from services.intake.key_store import KeyStore
from wards.model import Ward


@dataclass(frozen=True, slots=True)
class Parts:
    """``tending``: what goes on beside the calls, for as long as the process serves."""

    keeper: Keeper
    reader: Reader
    tending: Tending

    def handlers(self, edge: Edge) -> list[HTTPRouteHandler]:
        return Attachments(edge, self.keeper, self.reader).handlers()


def open_attachments(
    settings: Settings,
    ward: Ward,
    clock: Clock,
    engine: Engine,
    names: Names,
    keys: KeyStore,
    gateway: Gateway,
    bus: Bus,
) -> Parts:
    home = settings.home / "attachments"
    incoming = home / "incoming"
    spool = Spool(incoming)
    store: Store
    store = Objects(bus, incoming) if settings.attachments == "nats" else Folder(home / "kept")
    scanner = Clamd(settings.clamd) if settings.clamd else None
    records = Records(engine)
    keeper = Keeper(ward.code, names, keys, gateway, records, spool, store, clock)
    reader = Reader(keys, gateway, records, store, scans=scanner is not None)
    return Parts(keeper, reader, Tending(keeper, reader, gateway, clock, scanner))
