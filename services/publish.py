"""``python -m services.publish``: writes the contract to ``schemas/published`` and the client made from
it to ``partners/client``, and the tables of ``docs/partners.md``; ``--check`` compares.

Here and not in ``schemas``, because the contract is also what intake offers over HTTP and what every
producer of a journal answers, and ``schemas`` knows neither.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import partners
import schemas
from partners.publishing import DOCUMENT, document
from runtime.journal import JournalAgain, JournalHead
from schemas.base import JsonObject
from schemas.publishing.asyncapi import QUESTIONS, Question, asyncapi_document
from schemas.publishing.json_schema import message_schema
from schemas.publishing.messages import MESSAGES, Message
from schemas.publishing.nats_accounts import nats_accounts
from schemas.publishing.python_client import python_client
from schemas.subjects import PRODUCERS, TOLD_TO_AGENCIES
from services.intake.openapi import openapi_document

PUBLISHED = Path(schemas.__file__).with_name("published")
CLIENT = Path(partners.__file__).with_name("client")
ACCOUNTS = Path(schemas.__file__).parents[1] / "deploy" / "nats" / "accounts.conf"


def _readers(producer: str) -> tuple[str, ...]:
    """Who reads its journal."""
    return ("delivery", "audit") if producer in TOLD_TO_AGENCIES else ("audit",)


ALL_MESSAGES = (*MESSAGES, Message(JournalHead), Message(JournalAgain))
ALL_QUESTIONS = (
    *QUESTIONS,
    *(Question(p, "journal_head", JournalHead, JournalHead, _readers(p)) for p in PRODUCERS),
    *(Question(p, "journal_again", JournalAgain, JournalHead, _readers(p)) for p in PRODUCERS),
)


def documents() -> dict[str, JsonObject]:
    """Every published document by its file's name."""
    return {
        **{message.file: message_schema(message) for message in ALL_MESSAGES},
        "asyncapi.json": asyncapi_document(ALL_QUESTIONS),
        "openapi.json": openapi_document(),
    }


def files() -> dict[str, bytes]:
    """The same bytes on every machine: sorted, UTF-8, a newline at the end."""
    return {
        name: (json.dumps(d, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
        for name, d in documents().items()
    }


def differences(folder: Path = PUBLISHED) -> list[str]:
    """The files that are missing, changed or left over in ``folder``."""
    wanted = files()
    there = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    return sorted(n for n in wanted.keys() | there.keys() if wanted.get(n) != there.get(n))


def write(folder: Path = PUBLISHED) -> None:
    folder.mkdir(exist_ok=True)
    wanted = files()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_bytes(text)


def client() -> dict[str, bytes]:
    """The written modules of the partners' Python client, formatted like everything else."""
    return {
        name: _formatted(name, text) for name, text in python_client(openapi_document()).items()
    }


def _formatted(name: str, text: str) -> bytes:
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(CLIENT / name), "-"]
    return subprocess.run(ruff, input=text.encode(), capture_output=True, check=True).stdout


def client_differences(folder: Path = CLIENT) -> list[str]:
    return sorted(
        name
        for name, text in client().items()
        if not (folder / name).exists() or (folder / name).read_bytes() != text
    )


def accounts_differ() -> bool:
    return not ACCOUNTS.exists() or ACCOUNTS.read_text("utf-8") != nats_accounts()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if outdated")
    changed = [f"schemas/published/{name}" for name in differences()]
    changed += [f"partners/client/{name}" for name in client_differences()]
    told = DOCUMENT.read_text(encoding="utf-8")
    changed += ["docs/partners.md"] if document(told) != told else []
    changed += ["deploy/nats/accounts.conf"] if accounts_differ() else []
    if not parser.parse_args().check:
        write()
        ACCOUNTS.write_text(nats_accounts(), "utf-8")
        for name, text in client().items():
            (CLIENT / name).write_bytes(text)
        DOCUMENT.write_text(document(told), encoding="utf-8")
        print(f"{len(files())} files in schemas/published, two in partners/client", end="")
        print(f"; {len(changed)} changed")
        return 0
    for name in changed:
        print(f"{name} is not current; run python -m services.publish")
    return 1 if changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
