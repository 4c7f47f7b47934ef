"""Where things are said: streams, subjects and durable names, in one place."""

COMMANDS_STREAM = "COMMANDS"
JOURNALS_STREAM = "JOURNALS"

ATTACHMENTS_BUCKET = "attachments"
"""JetStream's object store is a stream: it holds this bucket under these names."""
ATTACHMENTS_STREAM = f"OBJ_{ATTACHMENTS_BUCKET}"

PRODUCERS = ("referral", "delivery", "console")
"""The services whose journals are bound into the ledger."""

TOLD_TO_AGENCIES = ("referral", "delivery")
"""Those of them whose facts may concern an agency."""

REPLY_TO = "Tsunagu-Reply-To"
"""Header of a command: the core subject on which the answer is awaited."""

STATUS = "Tsunagu-Status"
"""Header of an answer at the door: what HTTP has as its status."""


def command(ward: str, action: str) -> str:
    return f"tsunagu.{ward}.command.{action}"


def all_commands(ward: str = "*") -> str:
    return f"tsunagu.{ward}.command.>"


def journal(ward: str, producer: str, event_type: str) -> str:
    return f"tsunagu.{ward}.journal.{producer}.{event_type}"


def all_journals(ward: str = "*") -> str:
    return f"tsunagu.{ward}.journal.>"


def durable(service: str, ward: str) -> str:
    """The durable consumer through which a service reads a stream."""
    return f"{service}-{ward}"


def grew(ward: str, what: str) -> str:
    """A word without content, so that whoever shows ``what`` looks again: ``escalations``, or
    ``inbox.<agency>``. Not durable: whoever misses it looks again a little later anyway."""
    return f"tsunagu.{ward}.grew.{what}"


def query(ward: str, service: str, question: str) -> str:
    return f"tsunagu.{ward}.query.{service}.{question}"


def pieces(ward: str, at: str) -> str:
    """Request: the next piece of a file, from the process that has it in hand (``FileSaid.at``)."""
    return query(ward, "intake", at)


def journal_head(ward: str, producer: str) -> str:
    """Request: up to which number does the producer's journal go?"""
    return query(ward, producer, "journal_head")


def journal_again(ward: str, producer: str) -> str:
    """Request: publish the journal again from a number on."""
    return query(ward, producer, "journal_again")


def replies(login: str) -> str:
    """Beneath it a login of ours gets its answers; no other may listen there."""
    return f"_INBOX.{login}"


def door(ward: str, agency: str, call: str, ref: str = "") -> str:
    """Request of an agency: the call's ``operationId``, and what ``{ref}`` is in its path."""
    return f"tsunagu.{ward}.door.{agency}.{call}" + (f".{ref}" if ref else "")


def carried(ward: str, agency: str) -> str:
    """Request to an agency's client: here is an event; an answer is its acknowledgement."""
    return f"tsunagu.{ward}.inbox.{agency}"


def agency_replies(agency: str, credential: str = "") -> str:
    """Beneath it an agency's client gets its answers; no other agency may listen there. A client whose
    ``credential`` is for some of the agency's scopes hears only what is beneath its own."""
    return f"_INBOX_{agency}" + (f".{credential}" if credential else "")
