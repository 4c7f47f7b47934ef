"""Whoever is called has a mail about it at once: one for each change of the call, in order, saying
nothing of the person. The mail server is a real one, on loopback; so is the database."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.database import reading, writing
from runtime.settings import Settings, SettingsError
from schemas import events as e
from schemas.codes import AddressKind, Basis, HandoffKind, Urgency
from schemas.sealed import Commitment, Group
from services.delivery import tables as t
from services.delivery.mail import Server
from services.delivery.outbox import GIVE_UP_AFTER, KEEP, RETRY_AFTER
from tests.nats import until
from tests.seen_at_once.post_office import (
    ABUSE,
    BUNKYO,
    DESK,
    NIGHT,
    ON_CALL,
    SENDER,
    Delivery,
    Journal,
    PostOffice,
    address,
    one_that_never_says_a_word,
    open_post_office,
)

NAME, STREET, REFERENCE = "文京 太郎", "本郷二丁目21番3号", "太郎さんの件"


@pytest.fixture
def engine(database_of: Callable[[str], Engine]) -> Engine:
    return database_of("delivery")


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with open_post_office() as office:
        yield office


@pytest.fixture
def delivery(engine: Engine, clock: ManualClock, office: PostOffice) -> Iterator[Delivery]:
    with Delivery(engine, clock, office.settings()) as delivery:
        yield delivery


@pytest.fixture
def journal(clock: ManualClock) -> Journal:
    return Journal(clock)


def play(story: Coroutine[None, None, None]) -> None:
    async def playing() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(playing())


def send_all(delivery: Delivery, sent: int) -> None:
    """Run until so many are sent and none waits."""

    async def story() -> None:
        async with delivery.process():
            await until(lambda: delivery.counted() == (0, sent, 0))

    play(story())


# -- who is told of what ----------------------------------------------------------------------------


def test_each_change_of_a_call_sends_one_mail_to_each_desk_concerned(
    delivery: Delivery, office: PostOffice, journal: Journal, clock: ManualClock
) -> None:
    async def story() -> None:
        async with delivery.process() as mailer:
            for entries, told in (
                ((journal.submitted(), journal.raised(DESK)), [DESK]),
                ((journal.passed_on(ON_CALL),), [ON_CALL]),
                ((journal.passed_on(NIGHT, 3),), [NIGHT]),
                ((journal.passed_on(NIGHT, 4),), [NIGHT]),  # the last one again and again
                ((journal.acknowledged(),), [DESK, ON_CALL, NIGHT]),
                ((journal.resolved(),), [DESK, ON_CALL, NIGHT]),
            ):
                before = len(office.mails)
                delivery.take_in(*entries)
                mailer.wake()
                await until(lambda: delivery.counted()[0] == 0)
                new = office.mails[before:]
                assert sorted(mail.to for mail in new) == sorted(map(address, told))

    play(story())
    assert len({mail.id for mail in office.mails}) == len(office.mails) == 10
    assert delivery.counted() == (0, 10, 0)


def test_a_whole_call_in_one_batch_tells_the_same_desks(
    delivery: Delivery, office: PostOffice, journal: Journal
) -> None:
    journal.submitted()
    journal.raised(DESK)
    journal.passed_on(ON_CALL)
    journal.acknowledged()
    delivery.take_in(*journal.entries)
    send_all(delivery, 4)
    assert (len(office.to(DESK)), len(office.to(ON_CALL))) == (2, 2)


def test_two_calls_of_one_case_are_told_apart(
    delivery: Delivery, office: PostOffice, journal: Journal
) -> None:
    delivery.take_in(
        journal.submitted(), journal.raised(DESK), journal.raised(NIGHT, "E01", "other")
    )
    delivery.take_in(journal.acknowledged())  # of the first
    send_all(delivery, 3)
    assert len(office.to(DESK)) == 2
    assert [mail.subject.split()[1] for mail in office.to(NIGHT)] == ["E01"]


def test_a_mail_says_code_number_what_happened_which_desk_and_until_when(
    delivery: Delivery, office: PostOffice, journal: Journal
) -> None:
    delivery.take_in(journal.submitted(), journal.raised(ON_CALL), journal.acknowledged())
    send_all(delivery, 2)
    raised, acknowledged = sorted(office.mails, key=lambda mail: len(mail.subject))
    assert raised.subject == f"[つなぐ] E07 上申 {journal.number} (緊急)"
    assert acknowledged.subject == f"[つなぐ] E07 上申・応答済み {journal.number} (緊急)"
    for words in (
        "E07 拠点の閉所中の緊急",
        "E07 Emergency while the hub is closed",
        "基幹 夜間休日当番 / Core centre, on call",
        "応答期限 / answer by: 2026-11-20(金) 17:05 日本時間 / JST",  # called at 16:50
        "日時 / at: 2026-11-20(金) 16:50",
    ):
        assert words in raised.text
    assert "解決期限 / resolve by: 2026-11-21(土) 16:50" in acknowledged.text
    assert "応答期限" not in acknowledged.text
    assert raised.text.index("上申がありました") < raised.text.index("A call")
    message = raised.message
    assert message["Auto-Submitted"] == "auto-generated"
    assert (message["From"], message["To"]) == (SENDER, "core-on-call@bunkyo.example")
    entry = journal.entries[1]
    assert message["Date"].datetime == entry.occurred_at
    assert raised.id.endswith("@bunkyo.example>")


def test_a_desk_without_an_address_gets_none_and_the_others_theirs(
    engine: Engine, clock: ManualClock, office: PostOffice, journal: Journal
) -> None:
    desks = tuple(
        desk.model_copy(update={"mail": None}) if desk.id == DESK else desk for desk in BUNKYO.desks
    )
    ward = BUNKYO.model_copy(update={"desks": desks})
    with Delivery(engine, clock, office.settings(), ward=ward) as delivery:
        delivery.take_in(journal.submitted(), journal.raised(DESK), journal.passed_on(NIGHT))
        delivery.take_in(journal.acknowledged())
        send_all(delivery, 2)
        assert [mail.to for mail in office.mails] == [address(NIGHT)] * 2
        assert delivery.dead_letters() == []


def test_an_address_that_is_none_is_a_dead_letter_and_stops_nobody(
    engine: Engine, clock: ManualClock, office: PostOffice, journal: Journal
) -> None:
    for wrong in ("nobody", "a@b@c", "太郎@bunkyo.example", "a@b.example\nBcc: c@d.example", "@x"):
        desks = tuple(
            desk.model_copy(update={"mail": wrong}) if desk.id == DESK else desk
            for desk in BUNKYO.desks
        )
        ward = BUNKYO.model_copy(update={"desks": desks})
        with Delivery(engine, clock, office.settings(), ward=ward) as delivery:
            journal = Journal(clock, wrong)
            before = len(delivery.dead_letters())
            delivery.take_in(journal.submitted(), journal.raised(DESK), journal.passed_on(NIGHT))

            async def story(delivery: Delivery = delivery) -> None:
                async with delivery.process():
                    await until(lambda: delivery.counted()[0] == 0)

            play(story())
            (subject, reason, body) = delivery.dead_letters()[before:][0]
            assert (subject, reason) == (f"mail to {DESK}", "not a mail address")
            assert body.decode() == str(journal.entries[1].id)
    assert {mail.to for mail in office.mails} == {address(NIGHT)}


def test_a_call_from_before_desks_were_named_sends_nothing(
    delivery: Delivery, office: PostOffice, journal: Journal
) -> None:
    delivery.take_in(journal.submitted(), journal.raised(None), journal.resolved())
    assert delivery.counted() == (0, 0, 0)


def test_without_a_mail_server_nothing_is_kept_to_be_sent(
    engine: Engine, clock: ManualClock, office: PostOffice, journal: Journal
) -> None:
    journal.submitted()
    journal.raised(DESK)
    with Delivery(engine, clock, Settings()) as delivery:
        delivery.take_in(*journal.entries)
        assert delivery.counted() == (0, 0, 0)
        assert delivery.rows(t.mails) == []
    with Delivery(engine, clock, office.settings()) as delivery:  # one is named afterwards
        delivery.take_in(journal.acknowledged())
        send_all(delivery, 1)
    assert journal.number in office.mails[0].subject


def test_a_journal_that_is_read_anew_after_long_rings_no_desk_with_what_is_over(
    delivery: Delivery, office: PostOffice, journal: Journal, clock: ManualClock
) -> None:
    late = [journal.submitted(), journal.raised(DESK)]
    clock.move(GIVE_UP_AFTER + timedelta(minutes=1))
    delivery.take_in(*late, journal.passed_on(NIGHT))
    send_all(delivery, 1)
    assert [mail.to for mail in office.mails] == [address(NIGHT)]
    late_one = (f"mail to {DESK}", "too late when it was read", str(late[1].id).encode())
    assert delivery.dead_letters() == [late_one]


# -- what it never says -----------------------------------------------------------------------------


def test_nothing_of_the_person_and_nothing_of_where_is_in_a_mail(
    delivery: Delivery, office: PostOffice, journal: Journal
) -> None:
    commitment = Commitment(group=Group.TEXT, commitment="ab" * 32)
    journal.submitted(
        sender="anshin-motofuji",
        sender_reference=REFERENCE,
        address_kind=AddressKind.PROTECTED,
        topics=("not_seen",),
        to_district="motofuji",
        sealed=(commitment,),
    )
    journal.happens(
        e.DistrictFound(district="motofuji", basis=Basis.WHOLE, candidates=("motofuji",))
    )
    journal.happens(
        e.HandoffOffered(
            handoff=journal.call("handoff"),
            offer=journal.call("offer"),
            kind=HandoffKind.TRANSFER,
            function="emergency",
            sender="anshin-motofuji",
            receiver="hub-motofuji",
        )
    )
    due = journal.due().model_copy(update={"hours_of": "hub-motofuji"})
    journal.raised(DESK, by="hub-motofuji", due=due, handoff=journal.call("handoff"))
    journal.passed_on(NIGHT)
    journal.happens(
        e.EscalationAcknowledged(
            escalation=journal.call(), by="hub-motofuji", custodian="hub-motofuji", due=due
        )
    )
    journal.resolved()
    delivery.take_in(*journal.entries[:-1])
    send_all(delivery, 4)
    delivery.take_in(journal.entries[-1])
    send_all(delivery, 6)
    secrets = [NAME, STREET, REFERENCE, commitment.commitment, "not_seen", "protected", "秘匿"]
    for district in BUNKYO.districts:
        secrets += [district.id, district.name, district.name_en]
    for agency in BUNKYO.agencies:
        if agency.district:
            secrets += [agency.id, agency.name, agency.name_en]
    for mail in office.mails:
        for secret in secrets:
            assert secret not in mail.whole
    assert "motofuji" in " ".join(secrets)


@pytest.mark.parametrize("marked", [True, False], ids=["by the event", "by the ward file"])
def test_of_a_restricted_call_only_code_and_number_are_told(
    delivery: Delivery, office: PostOffice, journal: Journal, marked: bool
) -> None:
    code = "E10" if marked else "E03"
    delivery.take_in(journal.submitted(), journal.raised(ABUSE, code, restricted=marked))
    delivery.take_in(journal.passed_on(ON_CALL), journal.acknowledged())
    send_all(delivery, 4)
    delivery.take_in(journal.resolved())
    send_all(delivery, 6)
    says_nothing_but_code_and_number(office, journal, code)


def says_nothing_but_code_and_number(office: PostOffice, journal: Journal, code: str) -> None:
    """And times."""
    reason = BUNKYO.reason(code)
    assert reason is not None
    assert office.mails
    for mail in office.mails:
        to = str(mail.message["To"])  # where it goes
        headers_apart = mail.whole.replace(to, "")
        assert f"{code} 上申" in mail.subject
        assert mail.subject.endswith(journal.number)
        for words in (reason.ja, reason.en, reason.then_ja, "虐待", "buse", "緊急", "emergency"):
            assert words not in headers_apart


def test_a_call_from_before_there_were_restricted_ones_is_restricted_by_the_ward_file(
    delivery: Delivery, office: PostOffice, journal: Journal, engine: Engine
) -> None:
    """The migration entered it as its event has it: without a word of that."""
    delivery.take_in(journal.submitted(), journal.raised(ABUSE, "E03"))
    with writing(engine) as connection:
        connection.execute(sa.update(t.calls).values(restricted=False))
    send_all(delivery, 1)
    says_nothing_but_code_and_number(office, journal, "E03")


def test_of_any_other_call_the_wards_words_are_told(
    delivery: Delivery, office: PostOffice, clock: ManualClock
) -> None:
    """So that their absence above proves something."""
    open_reasons = [reason for reason in BUNKYO.escalation_reasons if not reason.restricted]
    for place, reason in enumerate(open_reasons):
        journal = Journal(clock, reason.code, first=1 + 2 * place)
        urgency = list(Urgency)[place % 4]
        delivery.take_in(journal.submitted(urgency=urgency), journal.raised(DESK, reason.code))
    send_all(delivery, len(open_reasons))
    texts = "".join(mail.text for mail in office.mails)
    for reason in open_reasons:
        assert f"{reason.code} {reason.ja}" in texts
        assert f"{reason.code} {reason.en}" in texts


# -- what may fail ----------------------------------------------------------------------------------


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.INFO)
    return lambda: "\n".join(
        f"{record.name} {record.getMessage()}"
        for record in caplog.records
        if not record.name.startswith("mail.log")  # the server's own
    )


Refuse = Callable[[PostOffice, str], None]


def refuse_recipient(office: PostOffice, answer: str) -> None:
    office.refused[address(DESK)] = answer


def refuse_data(office: PostOffice, answer: str) -> None:
    office.refused_data = answer


def refuse_sender(office: PostOffice, answer: str) -> None:
    office.refused_senders = answer


GONE = f"550 5.1.1 <{address(DESK)}>: Recipient address rejected"


@pytest.mark.parametrize(
    "answer",
    [
        GONE, f"550 5.1.6 <{address(DESK)}> has moved", "556 5.1.10 null MX",
        f"550 <{address(DESK)}>: User unknown", "550 No such user here", "553 Mailbox not found",
    ],
)  # fmt: skip
@pytest.mark.parametrize("refuse", [refuse_recipient, refuse_data])
def test_a_mail_to_a_mailbox_that_does_not_exist_is_a_dead_letter_without_the_address(
    delivery: Delivery,
    office: PostOffice,
    journal: Journal,
    logged: Callable[[], str],
    refuse: Refuse,
    answer: str,
) -> None:
    refuse(office, answer)
    delivery.take_in(journal.submitted(), journal.raised(DESK))

    async def story() -> None:
        async with delivery.process():
            await until(lambda: delivery.counted() == (0, 0, 1))

    play(story())
    ((subject, reason, body),) = delivery.dead_letters()
    assert subject == f"mail to {DESK}"
    kind = "Refused" if refuse is refuse_recipient else "DataError"
    assert reason.endswith(f"{kind} {answer[:3]}")
    assert body == str(journal.entries[1].id).encode()
    assert "mail_refused" in logged()
    for text in (logged(), subject, reason, body.decode()):
        assert "@" not in text
        assert "bunkyo.example" not in text
        assert "E07" not in text
    assert office.mails == []


def test_one_that_is_refused_for_good_keeps_no_other_waiting(
    delivery: Delivery, office: PostOffice, journal: Journal
) -> None:
    refuse_recipient(office, GONE)
    delivery.take_in(journal.submitted(), journal.raised(DESK), journal.passed_on(NIGHT))

    async def story() -> None:
        async with delivery.process():
            await until(lambda: delivery.counted() == (0, 1, 1))
            office.refused.clear()
            delivery.take_in(journal.acknowledged())
            await until(lambda: delivery.counted() == (0, 3, 1))

    play(story())
    assert sorted(mail.to for mail in office.mails) == sorted(
        [address(DESK), *[address(NIGHT)] * 2]
    )


@pytest.mark.parametrize(
    ("refuse", "answer"),
    [
        (refuse_recipient, "451 4.7.1 Greylisted"),
        (refuse_recipient, "554 5.7.1 Relay access denied"),
        (refuse_recipient, "550 relay not permitted"),
        (refuse_recipient, "550 5.7.1 Sender address rejected: user unknown"),
        (refuse_recipient, "550 Sender verify failed: no such user"),
        (refuse_recipient, "552 5.2.2 Mailbox full"),
        (refuse_recipient, "553 5.1.8 Sender's domain unknown"),
        (refuse_recipient, "450 4.1.1 User unknown"),
        (refuse_recipient, "530 5.7.0 Log in first"),
        (refuse_data, "451 Try again"),
        (refuse_data, "530 Log in first"),
        (refuse_data, f"554 5.7.1 not from {SENDER}"),
        (refuse_sender, "451 Try again"),
        (refuse_sender, "550 5.1.8 Sender's domain does not exist"),
        (refuse_sender, "553 5.7.1 Not your address"),
        (refuse_sender, "550 5.1.1 User unknown"),
    ],
)
def test_a_mail_refused_for_now_or_for_what_can_be_mended_comes_later(
    delivery: Delivery,
    office: PostOffice,
    journal: Journal,
    clock: ManualClock,
    refuse: Refuse,
    answer: str,
) -> None:
    refuse(office, answer)
    delivery.take_in(journal.submitted(), journal.raised(DESK))

    async def story() -> None:
        async with delivery.process() as mailer:
            await until(lambda: delivery.failures() == [1])
            office.refused.clear()
            office.refused_data = office.refused_senders = None
            clock.move(RETRY_AFTER[0] - timedelta(seconds=1))
            mailer.wake()
            knocked = office.knocked
            await asyncio.sleep(0.7)  # longer than it takes to look again
            assert office.knocked == knocked
            clock.move(timedelta(seconds=1))
            await until(lambda: delivery.counted() == (0, 1, 0))

    play(story())
    assert (len(office.mails), delivery.dead_letters()) == (1, [])


def test_desks_at_which_the_server_hangs_keep_no_other_waiting(
    engine: Engine, clock: ManualClock, office: PostOffice
) -> None:
    office.hanging.add(address(DESK))
    with Delivery(engine, clock, office.settings(), patience=0.5) as delivery:
        stuck = [Journal(clock, f"stuck {n}", first=1 + 2 * n) for n in range(10)]
        for journal in stuck:
            delivery.take_in(journal.submitted(), journal.raised(DESK))

        async def story() -> None:
            async with delivery.process() as mailer:
                await until(lambda: delivery.failures() == [1] * 10)
                clock.move(RETRY_AFTER[0] * 2)  # they are all due again, and for longer
                journal = Journal(clock, "another", first=100)
                delivery.take_in(journal.submitted(), journal.raised(NIGHT))
                mailer.wake()
                await until(lambda: len(office.mails) == 1)
                assert delivery.failures().count(2) < 6  # it went before the others
                office.hanging.clear()
                for _ in range(5):
                    await until(lambda: not mailer._under_way)
                    clock.move(timedelta(hours=1))
                await until(lambda: delivery.counted() == (0, 11, 0))

        play(story())
    assert len({mail.id for mail in office.mails}) == 11


def test_a_server_that_says_nothing_is_left_after_a_while_and_asked_again(
    engine: Engine, clock: ManualClock, journal: Journal
) -> None:
    with one_that_never_says_a_word() as port:
        silent = PostOffice(port)
        with Delivery(engine, clock, silent.settings(), patience=0.3) as delivery:
            delivery.take_in(journal.submitted(), journal.raised(DESK))

            async def story() -> None:
                async with delivery.process():
                    await until(lambda: delivery.failures() == [1])
                    clock.move(RETRY_AFTER[0])
                    await until(lambda: delivery.failures() == [2])

            play(story())
            assert delivery.counted() == (1, 0, 0)


def test_while_the_server_is_down_nothing_is_lost_and_it_comes_when_it_is_back(
    delivery: Delivery, office: PostOffice, journal: Journal, clock: ManualClock
) -> None:
    office.close()
    delivery.take_in(journal.submitted(), journal.raised(DESK), journal.passed_on(NIGHT))

    async def story() -> None:
        async with delivery.process():
            await until(lambda: delivery.failures() == [1, 1])
            clock.move(RETRY_AFTER[0])
            await until(lambda: delivery.failures() == [2, 2])
        await asyncio.to_thread(office.open)
        async with delivery.process():  # another process, for that matter
            clock.move(RETRY_AFTER[1])
            await until(lambda: delivery.counted() == (0, 2, 0))

    play(story())
    assert {mail.to for mail in office.mails} == {address(DESK), address(NIGHT)}
    assert len(office.mails) == 2


def test_when_the_server_is_back_what_waits_goes_at_once(
    delivery: Delivery, office: PostOffice, clock: ManualClock
) -> None:
    """And not up to an hour later, when its own time would have come."""
    office.close()
    waiting = [Journal(clock, f"waiting {n}", first=1 + 2 * n) for n in range(3)]
    for journal in waiting:
        delivery.take_in(journal.submitted(), journal.raised(DESK))

    async def story() -> None:
        async with delivery.process() as mailer:
            for failures, step in enumerate(RETRY_AFTER, 1):
                await until(lambda n=failures: delivery.failures() == [n] * 3)  # type: ignore[misc]
                await until(lambda: not mailer._under_way)
                if failures < len(RETRY_AFTER):
                    clock.move(step)
            await asyncio.to_thread(office.open)
            new = Journal(clock, "new", first=100)
            delivery.take_in(new.submitted(), new.raised(NIGHT))
            mailer.wake()
            await until(lambda: delivery.counted() == (0, 4, 0))

    play(story())
    assert office.mails[0].to == address(NIGHT)


def test_a_refusal_of_one_mailbox_is_not_tried_again_with_every_other_mail(
    delivery: Delivery, office: PostOffice, clock: ManualClock
) -> None:
    refuse_recipient(office, "451 Greylisted")
    refused = Journal(clock, "refused")
    delivery.take_in(refused.submitted(), refused.raised(DESK))

    async def story() -> None:
        async with delivery.process() as mailer:
            await until(lambda: delivery.failures() == [1])
            for n in range(1, 5):
                other = Journal(clock, f"other {n}", first=2 * n + 1)
                delivery.take_in(other.submitted(), other.raised(NIGHT))
                mailer.wake()
                await until(lambda n=n: delivery.counted() == (1, n, 0))  # type: ignore[misc]
            await until(lambda: not mailer._under_way)

    play(story())
    # The first success tells a process that has just begun that the server is there.
    assert delivery.failures()[0] <= 2


def test_it_is_tried_at_growing_distances_for_three_days_and_then_given_up(
    delivery: Delivery, journal: Journal, clock: ManualClock
) -> None:
    delivery.take_in(journal.submitted(), journal.raised(DESK))
    start = clock.now()
    tried: list[timedelta] = []
    while mails := delivery.outbox.due(9, set()):
        assert len(tried) < 100
        tried.append(clock.now() - start)
        delivery.outbox.put_off(mails[0], "SMTPConnectError")
        waits = [row.next_at for row in delivery.rows(t.mails)]
        if waits[0] is not None:
            clock.move(datetime.fromisoformat(waits[0]) - clock.now())
    steps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert [step.total_seconds() for step in steps[:6]] == [30, 120, 600, 3600, 3600, 3600]
    assert set(steps[4:]) == {timedelta(hours=1)}
    assert timedelta(days=3) <= tried[-1] < timedelta(days=3, hours=1)
    assert delivery.counted() == (0, 0, 1)
    ((_, reason, _),) = delivery.dead_letters()
    assert reason == "given up after 3 days: SMTPConnectError"


def test_a_clock_that_is_set_back_delays_no_mail(
    delivery: Delivery, journal: Journal, clock: ManualClock
) -> None:
    delivery.take_in(journal.submitted(), journal.raised(DESK))
    (mail,) = delivery.outbox.due(9, set())
    delivery.outbox.put_off(mail, "SMTPConnectError")
    assert delivery.outbox.due(9, set()) == []
    clock.set_back(timedelta(days=30))
    assert [again.key for again in delivery.outbox.due(9, set())] == [mail.key]


def test_a_database_that_fails_after_the_servers_yes_is_asked_until_it_notes_it(
    delivery: Delivery, office: PostOffice, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the mail is not sent again meanwhile."""
    noted, failures = delivery.outbox.sent, [2]

    def failing(*what: object) -> None:
        if failures[0]:
            failures[0] -= 1
            raise sa.exc.OperationalError("no room", None, Exception())
        noted(*what)  # type: ignore[arg-type]

    monkeypatch.setattr(delivery.outbox, "sent", failing)
    delivery.take_in(journal.submitted(), journal.raised(DESK))
    send_all(delivery, 1)
    assert (len(office.mails), failures) == (1, [0])


def test_a_batch_that_is_undone_sends_nothing(
    delivery: Delivery, office: PostOffice, journal: Journal, engine: Engine
) -> None:
    delivery.take_in(journal.submitted())
    with pytest.raises(sa.exc.IntegrityError):  # the second half is on record already
        delivery.take_in(journal.raised(DESK), journal.entries[0])
    assert delivery.counted() == (0, 0, 0)
    with reading(engine) as connection:
        assert connection.execute(sa.select(t.calls)).all() == []


def test_a_process_that_lost_the_right_to_write_notes_nothing(
    delivery: Delivery, journal: Journal
) -> None:
    delivery.take_in(journal.submitted(), journal.raised(DESK))
    (mail,) = delivery.outbox.due(9, set())
    delivery.sole.epoch -= 1  # as if another had taken over
    for note in (
        lambda: delivery.outbox.sent(mail),
        lambda: delivery.outbox.put_off(mail, "x"),
        lambda: delivery.outbox.give_up(mail, "x"),
    ):
        with pytest.raises(RuntimeError, match="taken over"):
            note()
    assert delivery.counted() == (1, 0, 0)


# -- in order -----------------------------------------------------------------------------------------


def told(office: PostOffice, desk: str) -> list[str]:
    return [mail.subject.split(" ")[2] for mail in office.to(desk)]


def test_after_an_outage_a_desk_is_told_in_the_order_of_what_happened(
    delivery: Delivery, office: PostOffice, journal: Journal, clock: ManualClock
) -> None:
    """Though what came first was tried most, and would wait longest."""
    office.close()

    async def story() -> None:
        async with delivery.process() as mailer:
            delivery.take_in(journal.submitted(), journal.raised(NIGHT))
            mailer.wake()
            await until(lambda: delivery.failures() == [1])
            clock.move(RETRY_AFTER[0])
            await until(lambda: delivery.failures() == [2])
            await until(lambda: not mailer._under_way)
            await asyncio.to_thread(office.open)
            delivery.take_in(journal.passed_on(NIGHT), journal.acknowledged())
            mailer.wake()
            knocked = office.knocked
            await asyncio.sleep(0.7)  # longer than it takes to look again
            assert office.knocked == knocked, "what follows waits for what was before"
            clock.move(RETRY_AFTER[1])
            await until(lambda: delivery.counted() == (0, 3, 0))

    play(story())
    assert told(office, NIGHT) == ["上申", "上申(次の窓口へ)", "上申・応答済み"]


def test_what_happened_at_one_moment_is_told_in_the_order_of_the_journal(
    delivery: Delivery, office: PostOffice, clock: ManualClock
) -> None:
    for n in range(6):  # ids follow no order
        journal = Journal(clock, f"case {n}", first=1 + 5 * n)
        journal.submitted()
        journal.raised(NIGHT)
        journal.passed_on(NIGHT)
        journal.passed_on(NIGHT, 3)
        journal.acknowledged()
        delivery.take_in(*journal.entries)
    send_all(delivery, 24)
    by_case: dict[str, list[str]] = {}
    for mail in office.mails:
        _, _, what, number, _ = mail.subject.split(" ")
        by_case.setdefault(number, []).append(what)
    assert len(by_case) == 6
    for order in by_case.values():
        assert order == ["上申", "上申(次の窓口へ)", "上申(次の窓口へ)", "上申・応答済み"]


def test_nobody_is_asked_to_answer_a_call_that_has_been_resolved(
    delivery: Delivery, office: PostOffice, journal: Journal, clock: ManualClock
) -> None:
    """The demand waits for its next attempt in an hour; what follows does not wait for it."""
    office.close()

    async def story() -> None:
        async with delivery.process() as mailer:
            delivery.take_in(journal.submitted(), journal.raised(DESK), journal.passed_on(NIGHT))
            mailer.wake()
            await until(lambda: delivery.failures() == [1, 1])
            await until(lambda: not mailer._under_way)
            await asyncio.to_thread(office.open)
            delivery.take_in(journal.acknowledged(), journal.resolved())
            mailer.wake()
            await until(lambda: delivery.counted() == (0, 4, 0))

    play(story())
    for desk in (DESK, NIGHT):
        assert told(office, desk) == ["上申・応答済み", "上申・解決"]
    assert delivery.outbox.figures()["mails_superseded"] == 2
    assert delivery.dead_letters() == []


def test_a_demand_that_is_on_its_way_when_the_call_is_resolved_is_told_first(
    delivery: Delivery, office: PostOffice, journal: Journal
) -> None:
    delivery.take_in(journal.submitted(), journal.raised(DESK))
    (mail,) = delivery.outbox.due(9, set())
    delivery.take_in(journal.resolved())
    assert delivery.outbox.due(9, {mail.key}) == []
    delivery.outbox.sent(mail)
    (after,) = delivery.outbox.due(9, set())
    assert (after.happened, after.pointless) == ("escalation_resolved", False)
    assert delivery.counted() == (1, 1, 0)


def test_one_call_waits_for_no_other_and_one_desk_for_no_other(
    delivery: Delivery, office: PostOffice, journal: Journal, clock: ManualClock
) -> None:
    refuse_recipient(office, "451 Greylisted")
    delivery.take_in(journal.submitted(), journal.raised(DESK), journal.passed_on(NIGHT))
    delivery.take_in(journal.acknowledged(), journal.raised(NIGHT, "E01", "other"))

    async def story() -> None:
        async with delivery.process():
            await until(lambda: delivery.counted() == (2, 3, 0))

    play(story())
    assert {mail.to for mail in office.mails} == {address(NIGHT)}


def test_what_was_done_long_ago_is_not_kept_and_what_waits_is(
    delivery: Delivery, office: PostOffice, journal: Journal, clock: ManualClock
) -> None:
    delivery.take_in(journal.submitted(), journal.raised(DESK))
    send_all(delivery, 1)
    clock.move(KEEP - timedelta(hours=1))
    delivery.outbox.clean_up()
    assert delivery.counted() == (0, 1, 0)
    delivery.take_in(journal.passed_on(NIGHT))
    clock.move(timedelta(hours=2))
    send_all(delivery, 1)
    assert [row.desk for row in delivery.rows(t.mails)] == [NIGHT]
    delivery.take_in(journal.acknowledged())  # which still knows whom the call went to
    send_all(delivery, 3)
    assert len(office.to(DESK)) == 2


# -- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"smtp": "mail.bunkyo.example"}, "TSUNAGU_SMTP"),
        ({"smtp": "mail.bunkyo.example:smtp"}, "TSUNAGU_SMTP"),
        ({"smtp": ":25"}, "TSUNAGU_SMTP"),
        ({"mail_from": ""}, "TSUNAGU_MAIL_FROM"),
        ({"mail_from": "つなぐ"}, "TSUNAGU_MAIL_FROM"),
        ({"smtp": "mail.bunkyo.example:25", "smtp_tls": "none"}, "TSUNAGU_SMTP_TLS"),
        ({"smtp_user": "tsunagu"}, "TSUNAGU_SMTP_PASSWORD_FILE"),
    ],
)
def test_settings_that_make_no_sense_are_told_at_the_start(
    wrong: dict[str, str], names: str
) -> None:
    given = {"smtp": "127.0.0.1:25", "mail_from": SENDER, "smtp_tls": "none"}
    assert Server.named_in(Settings(**given)) is not None  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=names):
        Server.named_in(Settings(**(given | wrong)))  # type: ignore[arg-type]


def test_a_mail_server_elsewhere_is_spoken_to_under_tls_unless_told_otherwise() -> None:
    server = Server.named_in(Settings(smtp="mail.bunkyo.example:587", mail_from=SENDER))
    assert server is not None
    assert (server.host, server.port, server.tls) == ("mail.bunkyo.example", 587, "starttls")
    assert Server.named_in(Settings(mail_from=SENDER)) is None
