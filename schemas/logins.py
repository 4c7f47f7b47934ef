"""Who may say what on the bus (電文の権限): one login for each of our processes' connections.

nats-server holds them to it, so one service that is taken over cannot speak as another. They live in
accounts, and a subject of one account is not heard in another:

* ``SERVICES``: what the services say among themselves, and the streams.
* ``AGENCIES``: the door (窓口). The agencies are here, each let in by an auth callout with permissions
  of its own (``agency_rights``), and ours are two: the one that answers, the one that carries.
* ``SYS``: nats-server itself. The warden (門番) answers its callouts and ends connections.

What this does not hold: who may read a stream can have the server deliver what it reads to any subject
of the account, also to one on which it may not publish itself.
"""

from dataclasses import dataclass

from schemas import subjects

SERVICES = "SERVICES"
AGENCIES = "AGENCIES"
SYSTEM = "SYS"

CALLOUT = "$SYS.REQ.USER.AUTH"
"""On which nats-server asks whether somebody may come in (ADR-26)."""
CONNECTIONS = "$SYS.REQ.SERVER.PING.CONNZ"
"""Each server of a cluster answers with the connections it has."""

LEFT = f"$SYS.ACCOUNT.{AGENCIES}.DISCONNECT"
"""Each server tells of each connection of an agency that has ended."""

_DOOR_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Rights:
    """Subjects, with wildcards. ``forbidden`` is taken out of ``publish``. ``replies``: for so many
    seconds after a message that names a reply subject it may be answered there, once."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    forbidden: tuple[str, ...] = ()
    replies: int = 0


@dataclass(frozen=True, slots=True)
class Login:
    name: str
    account: str
    rights: Rights


def kick(server: str = "*") -> str:
    """Request: end a connection of this server."""
    return f"$SYS.REQ.SERVER.{server}.KICK"


def agency_rights(ward: str, agency: str) -> Rights:
    """What an agency's own client may do: publish as itself, read what is its own."""
    return Rights(
        publish=(subjects.door(ward, agency, ">"),),
        subscribe=(subjects.carried(ward, agency), f"{subjects.agency_replies(agency)}.>"),
        replies=_DOOR_SECONDS,
    )


def _own(service: str) -> str:
    return f"{subjects.replies(service)}.>"


def _using_attachments() -> tuple[str, ...]:
    """An object store that is there. Whoever makes a stream chooses what flows into it, also questions
    and their answers, so that is not for intake to do."""
    stream = subjects.ATTACHMENTS_STREAM
    return (
        f"$O.{subjects.ATTACHMENTS_BUCKET}.>",
        "$JS.API.STREAM.NAMES",
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.PURGE.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.*",
        f"$JS.FC.{stream}.>",
    )


def _reading_journals(service: str) -> tuple[str, ...]:
    stream = subjects.JOURNALS_STREAM
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.CREATE.{stream}",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.*",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
        f"$JS.ACK.{stream}.>",
        subjects.journal_head("*", "*"),
        subjects.journal_again("*", "*"),
        subjects.query("*", service, "status"),  # asked by the container's own health check
    )


LOGINS: tuple[Login, ...] = (
    Login(
        "intake",
        SERVICES,
        Rights(
            publish=(
                subjects.all_commands(),
                subjects.query("*", "*", "*"),
                *_using_attachments(),
            ),
            # Whose people the console has signed in is the console's word alone.
            forbidden=(subjects.query("*", "intake", "*"),),
            subscribe=(
                _own("intake"),
                subjects.grew("*", ">"),
                subjects.query("*", "intake", "*"),
            ),
            replies=60,
        ),
    ),
    Login(
        "referral",
        SERVICES,
        Rights(
            # Answers to commands go where the command's header says, not to a reply subject.
            publish=(
                subjects.journal("*", "referral", ">"),
                subjects.grew("*", "escalations"),
                subjects.query("*", "referral", "status"),
                "_INBOX.>",
                "$JS.API.>",
                "$JS.ACK.>",
            ),
            subscribe=(_own("referral"), subjects.query("*", "referral", "*")),
        ),
    ),
    Login(
        "delivery",
        SERVICES,
        Rights(
            publish=(
                subjects.journal("*", "delivery", ">"),
                subjects.grew("*", "inbox.*"),
                *_reading_journals("delivery"),
            ),
            subscribe=(_own("delivery"), subjects.query("*", "delivery", "*")),
            replies=60,
        ),
    ),
    Login(
        "audit",
        SERVICES,
        Rights(
            publish=_reading_journals("audit"),
            subscribe=(_own("audit"), subjects.query("*", "audit", "*")),
            replies=60,
        ),
    ),
    Login(
        "console",
        SERVICES,
        Rights(
            # It commands nothing itself: what its people do, intake admits like anybody's.
            publish=(
                subjects.journal("*", "console", ">"),
                subjects.query("*", "*", "*"),
                "$JS.API.STREAM.INFO." + subjects.JOURNALS_STREAM,
                "$JS.API.STREAM.CREATE." + subjects.JOURNALS_STREAM,
            ),
            subscribe=(
                _own("console"),
                subjects.grew("*", ">"),
                subjects.query("*", "console", "*"),
            ),
            replies=60,
        ),
    ),
    Login(
        "door",
        AGENCIES,
        Rights(
            # A wildcard cannot stand for a part of ``_INBOX_<agency>``; the door itself looks at
            # where it answers, and these are what it must never reach.
            publish=(">",),
            forbidden=("tsunagu.>", "$SYS.>", "$JS.>", "_INBOX.>"),
            subscribe=(_own("door"), subjects.door("*", "*", ">")),
        ),
    ),
    Login(
        "carrier",
        AGENCIES,
        Rights(publish=(subjects.carried("*", "*"),), subscribe=(_own("carrier"),)),
    ),
    Login(
        "warden",
        SYSTEM,
        Rights(
            publish=(CONNECTIONS, kick()),
            subscribe=(_own("warden"), CALLOUT, LEFT),
            replies=10,
        ),
    ),
)
