"""The way to mail in production, and from a database without it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid5

import pytest
import sqlalchemy as sa
import yaml
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock, utc_text
from runtime.database import open_database, reading, writing
from runtime.migrations import upgrade
from runtime.settings import Settings
from services.delivery import tables as t
from services.delivery.mail import Server
from tests.databases import Databases, migrations
from tests.seen_at_once.post_office import Journal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty(databases: Databases) -> Iterator[Engine]:
    """A database that no migration has seen."""
    url = databases.url()
    engine = open_database(url)
    yield engine
    engine.dispose()
    databases.drop(url)


def test_a_database_from_before_there_was_mail_knows_its_referrals_and_calls(
    empty: Engine, clock: ManualClock, tmp_path: Path
) -> None:
    before = tmp_path / "migrations" / "versions"
    before.mkdir(parents=True)
    shutil.copy(migrations("delivery") / "versions/0001_first_tables.py", before)
    upgrade(empty, before.parent)
    journal = Journal(clock)
    journal.submitted(sender_reference='"escalation_raised"')
    journal.raised(None)
    journal.raised(None, "E03", "other", restricted=True)
    journal.resolved()
    with writing(empty) as connection:
        rows = [{"id": str(x.id), "body": x.to_json().decode()} for x in journal.entries]
        connection.execute(sa.insert(t.events), rows)
    upgrade(empty, migrations("delivery"))
    with reading(empty) as connection:
        referrals = [tuple(row) for row in connection.execute(sa.select(t.referrals))]
        calls = {tuple(row) for row in connection.execute(sa.select(t.calls))}
    referral = str(journal.referral)
    assert referrals == [(referral, journal.number, "emergency")]
    assert calls == {
        (str(uuid5(journal.referral, "call")), referral, "E07", False),
        (str(uuid5(journal.referral, "other")), referral, "E03", True),
    }


def test_mails_that_wait_are_given_their_place_in_the_journal(
    empty: Engine, clock: ManualClock, tmp_path: Path
) -> None:
    before = tmp_path / "migrations" / "versions"
    before.mkdir(parents=True)
    for name in ("0001_first_tables.py", "0002_mails_to_desks.py"):
        shutil.copy(migrations("delivery") / "versions" / name, before)
    upgrade(empty, before.parent)
    journal = Journal(clock, first=40)
    done, waiting = journal.submitted(), journal.raised("core-desk")
    now = utc_text(clock.now())
    with writing(empty) as connection:
        rows = [{"id": str(x.id), "body": x.to_json().decode()} for x in journal.entries]
        connection.execute(sa.insert(t.events), rows)
        for entry, next_at in ((done, None), (waiting, now)):
            connection.execute(
                sa.text(
                    "INSERT INTO mails (event, desk, escalation, happened, occurred_at, queued_at,"
                    " attempts, next_at) VALUES (:event, 'core-desk', 'x', 'escalation_raised',"
                    " :now, :now, 0, :next_at)"
                ),
                {"event": str(entry.id), "now": now, "next_at": next_at},
            )
    upgrade(empty, migrations("delivery"))
    with reading(empty) as connection:
        mails = connection.execute(sa.select(t.mails.c.event, t.mails.c.number)).all()
    assert {tuple(row) for row in mails} == {(str(done.id), 0), (str(waiting.id), 41)}


def test_the_file_for_mail_gives_delivery_what_it_needs_and_nobody_else_anything() -> None:
    base = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    added = yaml.safe_load((ROOT / "deploy/mail.yaml").read_text("utf-8"))
    assert list(added["services"]) == ["delivery"]
    delivery = added["services"]["delivery"]
    answers = {
        "TSUNAGU_SMTP": "mail.bunkyo.example:587",
        "TSUNAGU_MAIL_FROM": "tsunagu@bunkyo.example",
    }
    given = {
        name: re.sub(
            r"\$\{(\w+):[?-]([^}]*)\}",
            lambda use: answers.get(use[1], use[2] if ":-" in use[0] else ""),
            value,
        )
        for name, value in delivery["environment"].items()
    }
    server = Server.named_in(Settings.from_environment(given))
    assert server is not None
    assert (server.host, server.port, server.tls) == ("mail.bunkyo.example", 587, "starttls")
    assert str(server.password_file) == f"/run/secrets/{delivery['secrets'][0]}"
    assert set(delivery["environment"]) >= {
        f"TSUNAGU_{name}" for name in ("SMTP", "MAIL_FROM", "SMTP_TLS", "SMTP_USER")
    }
    assert set(added["secrets"]) == set(delivery["secrets"])
    assert added["networks"] == {name: {} for name in delivery["networks"]}
    assert not set(added["networks"]) & set(base["networks"])
    assert "PASSWORD" not in json.dumps(base["services"]["delivery"]["environment"]).replace(
        "NATS_PASSWORD_FILE", ""
    )
