"""The closed vocabularies of the network: codes that the code itself branches on.

Codes that only a ward's people read (functions, topics, reasons, outcomes) are data of the ward
and live in ``wards/``. The names here are on disk and on the wire: they are never renamed.
"""

from enum import StrEnum


class Basis(StrEnum):
    """Why a district was found (地区の判定根拠)."""

    WHOLE = "whole"  # the whole chome lies in one district
    ENUMERATED = "enumerated"  # the ward's table names this block
    ELIMINATED = (
        "eliminated"  # every other district's blocks are enumerated, this is not among them
    )
    RULED = "ruled"  # the core centre has ruled this block
    STATED = "stated"  # no address; the sender named the district
    AMBIGUOUS = "ambiguous"  # more than one candidate: never guessed, the core centre rules


class Scope(StrEnum):
    """What an agency's system may do (権限の範囲)."""

    POST = "post"  # refer, offer, withdraw, escalate, note, close
    ANSWER = "answer"  # answer offers and calls that were made to it
    READ = "read"  # read its own cases, its inbox, the directory
    CORE = "core"  # what only the core centre does: rule, watch every call
    AUDIT = "audit"  # read every history, change nothing


class Urgency(StrEnum):
    """How soon someone must answer (緊急・至急・通常・情報提供)."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    ROUTINE = "routine"
    INFORMATION = "information"


class ClockKind(StrEnum):
    """``wall`` runs day and night (実時間); ``business`` only in somebody's opening hours (開所時間)."""

    WALL = "wall"
    BUSINESS = "business"


class Stage(StrEnum):
    """Where a referral stands (段階)."""

    AWAITING_RULING = "awaiting_ruling"
    OFFERED = "offered"
    IN_CARE = "in_care"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class HandoffKind(StrEnum):
    """``transfer`` moves custody on acceptance (引き継ぎ); ``request`` asks for a service (依頼)."""

    TRANSFER = "transfer"
    REQUEST = "request"


class HandoffState(StrEnum):
    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"


class WithdrawnBecause(StrEnum):
    """Why an offer stopped standing without an answer of its own."""

    BY_SENDER = "by_sender"
    ACCEPTED_ELSEWHERE = "accepted_elsewhere"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    TAKEN_BY_CORE = "taken_by_core"
    RULED_ELSEWHERE = "ruled_elsewhere"


class EscalationState(StrEnum):
    """Where a call to the core centre stands (上申の状態)."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Disposition(StrEnum):
    """How an escalation ended (上申の結末)."""

    RETURNED = "returned"  # with advice, to whoever sent the case or held it before (助言して戻す)
    REASSIGNED = "reassigned"  # handed on to another agency (他機関へつなぐ)
    KEPT = "kept"  # the core centre keeps it as a difficult case (困難ケースとして担当)
    ADVISED = "advised"  # the custodian goes on, with the core centre's advice (助言)
    CANCELLED = "cancelled"  # the sender took the referral back


class ReportedBy(StrEnum):
    """Who asks (相談の経路)."""

    SELF = "self"
    FAMILY = "family"
    NEIGHBOUR = "neighbour"
    AGENCY = "agency"


class SaidBy(StrEnum):
    """Who said no: the agency that was asked, or the person concerned."""

    AGENCY = "agency"
    PERSON = "person"


class AddressKind(StrEnum):
    """What an address is (住民登録地・居所・施設・なし・秘匿). ``protected``: masked for all but core
    and receiver (DV and the like)."""

    REGISTERED = "registered"
    ACTUAL = "actual"
    FACILITY = "facility"
    NONE = "none"
    PROTECTED = "protected"


class AddressWarning(StrEnum):
    """What whoever looks at an address should know (住所の注意). None of them stops it."""

    ALIAS = "alias"  # the town was written in another way (別表記)
    IMPOSSIBLE_NUMBER = "impossible_number"  # a 番 or 号 that cannot be; read as missing
    CHOME_MISSING = "chome_missing"
    BAN_MISSING = "ban_missing"
    GO_MISSING = "go_missing"


class Household(StrEnum):
    SINGLE = "single"
    NUCLEAR = "nuclear"
    WITH_AGEING_PARENTS = "with_ageing_parents"
    DISABLED_ONLY = "disabled_only"
    WITH_ELDERLY = "with_elderly"
    WITH_CHILDREN = "with_children"
    UNKNOWN = "unknown"


class MediaType(StrEnum):
    """What an attachment may be (添付の種類): PDF, and images without code in them. Never SVG or HTML."""

    PDF = "application/pdf"
    PNG = "image/png"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"
    HEIC = "image/heic"
    GIF = "image/gif"
    WEBP = "image/webp"


class ScanState(StrEnum):
    """What a scanner says of an attachment (検査の状態)."""

    UNSCANNED = "unscanned"  # this network has no scanner
    PENDING = "pending"  # not scanned yet: not handed out
    CLEAN = "clean"
    INFECTED = "infected"  # the file was deleted
    UNSCANNABLE = "unscannable"  # too large for the scanner, or unreadable: not handed out


class AgencyKind(StrEnum):
    """What an organisation is on the network."""

    CORE = "core"  # 基幹相談支援センター
    HUB = "hub"  # 地域生活支援拠点
    ANSHIN = "anshin"  # 高齢者あんしん相談センター
    PROVIDER = "provider"  # 障害福祉サービス事業所
    HOSPITAL = "hospital"
    WARD_OFFICE = "ward_office"
    AUDITOR = "auditor"  # reads all history, changes nothing
