"""What people may ask of the ledger's proofs: checkpoints, receipts, a verification, an export of one
referral. Whoever may not ask, and what does not exist, get the same answer."""

import threading
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from sqlalchemy.engine import Engine

from runtime.clock import Clock
from runtime.database import reading
from runtime.observability import log
from runtime.signed_note import NoteError, VerifierKey, open_checkpoint
from schemas import queries as q
from schemas.base import JsonObject
from schemas.outside import local_day, local_text
from services.audit import ledger
from services.audit.errands import Errand
from services.audit.following import Following
from services.audit.histories import Bound, bound, is_protected, tells_the_district
from services.audit.looks import MOST_LOOKS, looks_told
from services.audit.merkle import (
    ProofError,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)
from services.audit.readers import Readers
from services.audit.receipts import receipt_text
from services.audit.replay import ReplayError
from services.audit.verify_report import Report
from services.audit.verifying import report_document
from wards.model import Ward

_NOTHING: Final = q.Told(found=False)
_PATIENCE: Final = 1.2  # seconds; whoever asks waits for two
_LARGEST_REPLY: Final = 1_000_000  # bytes; the broker carries at most 4 MB in one message
Verify = Callable[[Callable[[int], None]], Report]


class Prover:
    """``vkey``: of the log. ``verify``: recomputes the stored ledger, telling how far it came."""

    def __init__(
        self,
        engine: Engine,
        ward: Ward,
        clock: Clock,
        following: Following,
        vkey: str,
        verify: Verify,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._following = following
        self._vkey = vkey
        self._key = VerifierKey.decode(vkey)
        self._verify = verify
        self._readers = Readers(ward)
        self._lock = threading.Lock()
        self._verified = 0
        self._verifying: tuple[datetime, Errand[Report]] | None = None
        self._report: JsonObject | None = None

    def covering(self, index: int | None) -> JsonObject:
        """The newest checkpoint, and whether it vouches for the entry at ``index``."""
        head = self._head()
        size = head["size"]
        return {**head, "covers": size is not None and index is not None and index < size}

    def checkpoint(self, question: q.ReadCheckpoint) -> q.Told:
        """The newest signed head."""
        if not self._readers.reads_figures(question.agency, self._today()):
            return _NOTHING
        return q.Told(found=True, body=self._head())

    def receipt(self, question: q.ReadReceipt) -> q.Told:
        """The proof of one entry."""
        if not self._readers.takes_part(question.agency, self._today()):
            return _NOTHING
        found = self._entries(str(question.ref))
        reads_all = self._readers.reads_all(question.agency, self._today())
        wanted = [
            one
            for one in found or ()
            if (reads_all or question.agency in one.entry.concerns)
            and question.index in (None, one.index)
            and question.event in (None, one.entry.id)
        ]
        if found is None or not wanted:
            return _NOTHING
        masked = reads_all and self._readers.is_masked(question.agency) and is_protected(found)
        body = self._receipt(wanted[-1], masked, self._head())
        return q.Told(found=True, referral=wanted[-1].entry.referral, body=body)

    def export_referral(self, question: q.ExportReferral) -> q.Told:
        """One referral's entries with their receipts, as many as fit."""
        if not self._readers.reads_all(question.agency, self._today()):
            return _NOTHING
        found = self._entries(str(question.ref))
        if not found:
            return _NOTHING
        referral = found[0].entry.referral
        with reading(self._engine) as connection:
            indexes = self._following.looks_at(str(referral))[-MOST_LOOKS:]
            looks = ledger.rows(connection, indexes=indexes)
        masked = self._readers.is_masked(question.agency) and is_protected(found)
        head = self._head()
        body: JsonObject = {
            "referral": str(referral),
            "number": getattr(found[0].entry.event, "number", None),
            "exported_at": local_text(self._clock.now()),
            "vkey": self._vkey,
            "checkpoint": head["note"],
            "looks": looks_told((row.idx, row.body) for row in looks),
            "receipts": [],
            "next": None,
        }
        size = 0
        for one in found:
            if one.index < question.start:
                continue
            receipt = self._receipt(one, masked, head)
            size += len(one.body) + len(str(receipt.get("proof", "")))
            if body["receipts"] and size > _LARGEST_REPLY:
                body["next"] = one.index
                break
            body["receipts"].append(receipt)
        return q.Told(found=True, referral=referral, body=body)

    def verify(self, question: q.VerifyLedger) -> q.Told:
        """Begin a verification, or tell how it goes."""
        now = self._clock.now()
        if not self._readers.reads_all(question.agency, local_day(now)):
            return _NOTHING
        with self._lock:
            self._keep_report(now)
            if question.start and self._verifying is None:
                self._verified = 0
                self._verifying = (now, Errand(lambda: self._verify(self._progress)))
            errand = self._verifying[1] if self._verifying is not None else None
        if errand is not None and question.start:
            errand.wait(0.2)  # a small ledger is verified at once
            with self._lock:
                self._keep_report(self._clock.now())
        with self._lock:
            going = self._verifying
            return q.Told(
                found=True,
                body={
                    "running": going is not None,
                    "started_at": local_text(going[0]) if going is not None else None,
                    "verified_size": self._verified,
                    "of": self._following.size,
                    "report": self._report,
                },
            )

    def _progress(self, entries: int) -> None:
        self._verified = entries

    def _keep_report(self, now: datetime) -> None:
        if self._verifying is None or self._verifying[1].running:
            return
        started, errand = self._verifying
        self._verifying = None
        try:
            report = errand.result()
        except Exception:  # the database is gone, say: then there is no report
            log("verification_failed", fault=True)
            return
        if report is not None:
            document = report_document(report)
            told = document | {
                "findings": document["findings"][:20],
                "more": max(0, len(document["findings"]) - 20) + report.omitted,
            }
            times = {"started_at": local_text(started), "finished_at": local_text(now)}
            self._report = {**told, **times}

    def _entries(self, ref: str) -> list[Bound] | None:
        with reading(self._engine) as connection:
            referral = ledger.find_referral(connection, ref)
            if referral is None:
                return None
            rows = ledger.rows(connection, referrals=[referral])
        try:
            return bound(((row.idx, row.body) for row in rows), ref)
        except ReplayError:
            return None  # nothing of it can be shown; verify says what is wrong

    def _head(self) -> JsonObject:
        with reading(self._engine) as connection:
            newest = ledger.newest_checkpoint(connection)
        unsigned: JsonObject = {
            "note": None, "size": None, "root": None, "signed_at": None, "vkey": self._vkey,
        }  # fmt: skip
        if newest is None:
            return unsigned
        stored, signed_at = newest
        try:
            checkpoint = open_checkpoint(stored.note, self._key)
        except NoteError:
            return {**unsigned, "problem": "bad_checkpoint"}
        return {
            "note": stored.note,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "signed_at": local_text(datetime.fromisoformat(signed_at)),
            "vkey": self._vkey,
        }

    def _receipt(self, one: Bound, masked: bool, head: JsonObject) -> JsonObject:
        """Checked before it is given away: what does not prove it helps nobody."""
        leaf = leaf_hash(one.body)
        body: JsonObject = {
            "signed": False,
            "index": one.index,
            "event": str(one.entry.id),
            "type": one.entry.event.type,
            "leaf": leaf.hex(),
            "vkey": self._vkey,
            "name": f"{one.entry.id}.tlog-proof",
        }
        if not (masked and tells_the_district(one.entry.event)):
            body["entry"] = one.body.decode()
        size = head["size"]
        if size is None or one.index >= size or not self._following.catch_up(_PATIENCE):
            return body
        with self._following.levels() as levels:
            proof = inclusion_proof(one.index, size, levels.subtree)
        try:
            verify_inclusion(leaf, one.index, size, proof, bytes.fromhex(head["root"]))
        except ProofError:
            return {**body, "problem": "tree_differs"}
        return {**body, "signed": True, "proof": receipt_text(one.index, proof, head["note"])}

    def _today(self) -> date:
        return local_day(self._clock.now())
