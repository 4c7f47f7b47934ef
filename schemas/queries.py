"""Questions between services, answered by request-reply. Whoever asks names the agency it asks for;
the service that knows decides what that agency may see."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.base import AgencyId, Code, JsonObject, Moment, ReferralRef, Said
from schemas.codes import EscalationState, MediaType, Stage, Urgency
from schemas.commands import Finding, SubmitReferral
from schemas.sealed import Base64, SealedRecord

LARGEST_NUMBER = 2**53 - 1
"""Larger ones are no longer exact in other languages, and sooner or later in no database."""


class ReadReferral(Said):
    """How does one referral stand?"""

    agency: AgencyId
    ref: ReferralRef


class ReadHistory(Said):
    """What happened to one referral?"""

    agency: AgencyId
    ref: ReferralRef
    after: int = Field(default=0, ge=0)


class ListReferrals(Said):
    """Which referrals does this agency have a part in, newest first?"""

    agency: AgencyId
    stage: Stage | None = None
    function: Code | None = None
    urgency: Urgency | None = None
    custodian: AgencyId | None = None
    before: int | None = Field(
        default=None, ge=0, le=LARGEST_NUMBER, description="cursor: only referrals older than this"
    )
    limit: int = Field(default=50, ge=1, le=200)


class ListStanding(Said):
    """What stands with this agency? Told: ``offers``, the referrals with an offer that waits for its answer,
    the first due first; ``waiting``, how many such offers there are; ``held``, the open referrals that it is
    responsible for, oldest first; ``holds``, how many."""

    agency: AgencyId
    limit: int = Field(default=50, ge=1, le=100, description="of ``offers`` and ``held`` each")


class ReadAnswer(Said):
    """What became of a request that was answered 202?"""

    agency: AgencyId
    request: UUID


class Locate(Said):
    """Which referral is this hand-off, escalation or number part of? Asked before a text is sealed."""

    agency: AgencyId
    ref: ReferralRef | None = None
    handoff: UUID | None = None
    escalation: UUID | None = None


class RehearseSubmissions(Said):
    """What would become of these submissions? They are decided and forgotten: nothing happens. Sealed
    data is not needed for it and left out."""

    agency: AgencyId
    actions: tuple[SubmitReferral, ...] = Field(min_length=1, max_length=500)


class SettleDistrict(Said):
    """Which district would a referral with this finding go to, as things stand? What the core centre has
    ruled for the block, and asked to be remembered, is followed."""

    agency: AgencyId
    finding: Finding


class ListEscalations(Said):
    """Which escalations are there, newest change first? For the core centre, the desks that were
    called, and auditors. ``states``: none given means those that are not resolved. ``after``: only
    what changed after that change, resolved or not: so a reader that knows the state at ``after``
    learns everything that changed since. Changes of escalations are numbered 1, 2, 3 …"""

    agency: AgencyId
    states: tuple[EscalationState, ...] = ()
    code: Code | None = None
    district: Code | None = None
    custodian: AgencyId | None = None
    after: int | None = Field(default=None, ge=0, le=LARGEST_NUMBER)
    before: int | None = Field(
        default=None, ge=0, le=LARGEST_NUMBER, description="cursor: only changes before this one"
    )
    limit: int = Field(default=100, ge=1, le=500)


class ReadOverview(Said):
    """How does the ward stand now (区のいま)? Everybody is told ``agencies``: agency (the custodian), stage,
    n, oldest (when the oldest of them was submitted). The core centre, the ward office and auditors also
    ``districts``: district (None while undecided), stage, n; ``withheld``, how many are counted in no
    district for their address is protected; ``waiting`` and ``in_care``, the oldest so many: stage,
    custodian, function, urgency, submitted_at, and for whom may see the case id and number; ``calls``
    that are not resolved: code, state, n; ``called``, how many cases of an agency have such a call:
    agency, n; ``rulings``: awaiting, between (candidates, n), withheld,
    remembered (district, n)."""

    agency: AgencyId
    limit: int = Field(default=20, ge=1, le=100, description="of ``waiting`` and ``in_care`` each")


class CallCounter(Said):
    """A call of the partner contract, for somebody of an agency whom the asker has signed in. ``call``: its
    ``operationId``; ``ref``: what ``{ref}`` is in its path; ``body``: JSON, as it would be posted. The
    body and its answer may be personal."""

    agency: AgencyId
    call: Code
    ref: str = ""
    query: dict[str, str] = Field(default_factory=dict, max_length=32)
    body: str | None = None
    key: str | None = Field(default=None, min_length=1, max_length=128)
    wait: bool = True


class CounterSaid(Said):
    """What the counter answered: as HTTP would have said it."""

    status: int = Field(ge=100, le=599)
    media_type: str
    location: str | None = None
    body: str


class OpenAttachment(Said):
    """A file of a referral, to be given out piece by piece (添付の読み出し), for somebody of an agency whom
    the asker has signed in. Answered when all of it was held against the record, with ``name``,
    ``media_type``, ``size``, ``disposition``, and where the pieces are asked for: ``at`` and ``token``."""

    agency: AgencyId
    attachment: UUID


class BeginAttachment(Said):
    """A file for a referral is about to come piece by piece (添付の受け入れ), from somebody of an agency whom
    the asker has signed in. ``name`` and ``media_type`` as whoever has the file says: what it is, is told
    by its content. The same ``key`` is the same attachment. Answered with ``at`` and ``token``, or with
    why it is not taken."""

    agency: AgencyId
    ref: str = Field(max_length=64)
    key: str = Field(min_length=1, max_length=128)
    name: str = Field(default="", max_length=1000)
    media_type: str = Field(default="", max_length=200)


class MovePiece(Said):
    """The next piece of a file (添付の一片): of one that is read, to be given; of one that comes, here it is,
    in ``data``. ``number``: 0, 1, 2 …; ``last``: after this there is nothing more, and the answer is what
    became of the attachment. ``leave``: whoever wanted the file, or sent it, has gone. The process that
    was asked first is asked all the time (``at``). What nobody asks about for ten minutes is forgotten."""

    agency: AgencyId
    token: str = Field(pattern=r"^[0-9a-f]{32}$")
    number: int = Field(default=0, ge=0, le=LARGEST_NUMBER)
    data: Base64 | None = None
    last: bool = False
    leave: bool = False


class FileSaid(Said):
    """What was said about a file, or a piece of it: ``status`` and ``body`` as HTTP would have said it.
    ``name`` is a safe one, ``disposition`` the header that goes with it (RFC 6266); ``data`` is the piece
    that was asked for, ``last`` that the file ends with it. All of it may be personal."""

    status: int = Field(ge=100, le=599)
    body: str = ""
    at: str | None = None
    token: str | None = None
    name: str | None = None
    media_type: MediaType | None = None
    size: int | None = None
    disposition: str | None = None
    data: Base64 | None = None
    last: bool = False


class ReadInbox(Said):
    """Which events came for this agency after a number?"""

    agency: AgencyId
    after: int = Field(default=0, ge=0, le=LARGEST_NUMBER)
    limit: int = Field(default=100, ge=1, le=1000)


class ReadManifest(Said):
    """The agency's newest manifest, or the newest of a day (in Japan)."""

    agency: AgencyId
    day: date | None = None


class SignManifest(Said):
    """A manifest of all that the agency's inbox holds now."""

    agency: AgencyId


class SendTest(Said):
    """Send the agency a test event, by the way that all its events go. The same ``key`` is the same
    test."""

    agency: AgencyId
    key: str | None = Field(default=None, min_length=1, max_length=128)


class ReadTest(Said):
    """What became of a test event?"""

    agency: AgencyId
    test: UUID


class ReplayReferral(Said):
    """How did one referral come to stand as it did (経過の再生)? For the core centre and auditors.

    Of what was on record: ``at`` what had occurred by then (None: all), ``size`` only the first so many
    entries of the ledger, as it was known then. The answer's ``body``: ``at``; ``state`` (None before the
    submission): number, stage, custodian, sender, function, urgency, district, submitted_at, updated_at,
    outcome …; ``entries``, each with index (in the ledger), version, id, type, actor, occurred_at,
    received_at, ja, en, at most 1,000, the newest, and ``earlier``, how many before them; ``custody``:
    custodian, from, until; ``offers`` and ``calls``, those whose clock runs or that wait: id, due_at,
    overdue, and kind, sender, receiver, function, offered_at of an offer; code, state, level, desk,
    raised_at, acknowledged_by of a call; ``steps``, every moment at which anything happened to it, whatever
    ``at``; ``last_index``, of the last entry shown; ``checkpoint`` (see ``ReadCheckpoint``) with ``covers``,
    whether it vouches for ``last_index``; ``looks``, who looked at it: at, agency, staff, what, basis, index; and
    ``withheld``, how many entries are shown without the district, which is masked for a protected address.
    Here and in what follows, ``problem`` says that the ledger's own entries do not allow the answer
    (``cannot_be_replayed``, ``tree_differs``, ``bad_checkpoint``): a verification tells which."""

    agency: AgencyId
    ref: ReferralRef
    at: Moment | None = None
    size: int | None = Field(default=None, ge=0, le=LARGEST_NUMBER)


class ReplayWard(Said):
    """How did the whole ward stand at a moment (区全体の再生)? For the core centre and auditors.

    ``at`` None: now. The answer's ``body``: ``ready`` (False while the ledger is still being read after a
    start: then only ``folded`` and ``of``, in entries); ``at``; ``first`` and ``last`` moment on record,
    ``steps``, at most 400 moments between them, ``previous`` and ``next``, the moments on either side of
    ``at``; ``custodians``: custodian, open (how many), stages (how many in each); ``referrals``, open ones,
    the oldest first, at most 500: id, number, stage, custodian, urgency, function, district, submitted_at,
    since (when it got there), and ``more``, how many besides; ``clocks``, the first due first, at most 500:
    kind (offer or call), id, referral, number, due_at, overdue, agency (who must answer), and of a call code,
    level, desk, state; ``more_clocks``; ``overdue``, how many of all; ``last_index``; ``checkpoint`` with
    ``covers``."""

    agency: AgencyId
    at: Moment | None = None


class ReadMonth(Said):
    """A month in Japan, in figures for the council (自立支援協議会の月次). For the core centre, the ward
    office and auditors. The answer's ``body``: ``ready`` (False while it is worked out: ask again), and what
    ``services/audit/month.py`` ``Month`` says."""

    agency: AgencyId
    year: int = Field(ge=2000, le=9998)
    month: int = Field(ge=1, le=12)


class ReadReceipt(Said):
    """The proof that an entry is in the ledger, to keep (受領証). For the agencies that the entry concerns,
    the core centre and auditors. ``index`` in the ledger or ``event``; neither: the newest entry of the
    referral that the agency may have. The answer's ``body``: ``signed`` (False: no checkpoint covers it yet,
    ask again shortly); ``index``, ``event``, ``type``, ``entry`` (the leaf's bytes as text: canonical JSON; left
    out where it tells the district of a protected address), ``leaf`` (RFC 6962, hexadecimal), ``proof`` (a
    C2SP ``.tlog-proof``), ``vkey`` (C2SP verifier key), ``name`` (a file name for the proof)."""

    agency: AgencyId
    ref: ReferralRef
    index: int | None = Field(default=None, ge=0, le=LARGEST_NUMBER)
    event: UUID | None = None


class ReadCheckpoint(Said):
    """The newest signed head of the ledger (台帳の署名付き先頭). For the core centre, the ward office and
    auditors. The answer's ``body``: ``note`` (C2SP signed note), ``size``, ``root`` (hexadecimal),
    ``signed_at``, all None while nothing is signed; ``vkey``."""

    agency: AgencyId


class VerifyLedger(Said):
    """Is the ledger whole (台帳の検証)? For the core centre and auditors. ``start``: begin to recompute it,
    unless that is going on. The answer's ``body``: ``running``, ``verified_size`` (entries so far), ``of``
    (entries now), ``started_at``, and ``report``, the last one that was finished, if any: whole, entries,
    signed, checkpoints, kind, first_wrong_entry, findings, finished_at."""

    agency: AgencyId
    start: bool = True


class ExportReferral(Said):
    """One referral's entries with their receipts, to check without the network (書き出し). For the core
    centre and auditors. The answer's ``body``: ``referral``, ``number``, ``vkey``, ``checkpoint``, ``looks``,
    ``receipts`` (each as ``ReadReceipt`` says it) of the entries from the ledger's index ``start`` on, and
    ``next``, the ``start`` of what did not fit in one answer, if anything."""

    agency: AgencyId
    ref: ReferralRef
    start: int = Field(default=0, ge=0, le=LARGEST_NUMBER)


class Told(Said):
    """The reply to a question: found, or not for this agency (which is also said of what does not
    exist: no probing). ``body`` holds no personal data; ``sealed`` is what intake may open for the
    agency (empty when it may not see it). ``mark``: beside numbers that were given, which giving of them;
    another one where they may have been put back, with the database of the service that gives them."""

    found: bool
    referral: UUID | None = None
    body: JsonObject = Field(default_factory=dict)
    sealed: tuple[SealedRecord, ...] = ()
    mark: str = ""


class AskStatus(Said):
    """How is the service? Answered with figures only."""


class ServiceStatus(Said):
    """``figures``: gauges and counters by name; ``ready``: it does its part of the work now."""

    service: str
    ready: bool
    figures: dict[str, float] = Field(default_factory=dict)
    gaps: tuple["Gap", ...] = ()


class Gap(Said):
    """Journal entries that a reader misses, and since when."""

    producer: str
    first: int
    last: int
    since: Moment
    state: Literal["open", "healed"] = "open"
