"""An emergency at night on the whole network, with a real mail server: the desk on call has a mail, then
the next desk, and a mail server that hangs holds up neither the post nor the call."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from schemas.outside import JAPAN
from tests.network import RunningNetwork, eventually
from tests.partners import Answer, Json, a_referral
from tests.seen_at_once.post_office import (
    NIGHT,
    ON_CALL,
    PostOffice,
    Received,
    address,
    open_post_office,
)

ANSWER_WITHIN = timedelta(minutes=15)
RAISED, PASSED_ON, ACKNOWLEDGED = "上申", "上申(次の窓口へ)", "上申・応答済み"


class WithMail(RunningNetwork):
    """Its clock is moved to ten at night."""

    def __init__(self, home: Path, office: PostOffice) -> None:
        self._office = office
        super().__init__(home, clock_shift=True)
        now = datetime.now(JAPAN)
        tonight = now.replace(hour=22, minute=0, second=0) + timedelta(days=1)
        self.move_clock(tonight - now)

    def start(self, *, keep_down: tuple[str, ...] = ()) -> None:
        mail = self._office.settings()
        self.settings = replace(
            self.settings, smtp=mail.smtp, mail_from=mail.mail_from, smtp_tls=mail.smtp_tls
        )
        super().start(keep_down=keep_down)

    def emergency(self) -> Answer:
        sender = self.partner("anshin-motofuji")
        sent = sender.posts(a_referral().having(urgency="emergency").to("hub-motofuji"))
        assert sent.status == 201, sent
        return sent

    def call(self, about: Answer) -> Json:
        """The call that the closed hub made necessary, as it stands."""
        escalations = self.partner("core").reads(about.id).body["escalations"]
        (call,) = [one for one in escalations if one["code"] == "E07"]
        return call


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with open_post_office() as office:
        yield office


@pytest.fixture
def night(tmp_path: Path, office: PostOffice) -> Iterator[WithMail]:
    network = WithMail(tmp_path / "network", office)
    try:
        yield network
    finally:
        network.stop()


def mails(office: PostOffice, desk: str, about: Answer) -> list[Received]:
    """That tell of its E07."""
    return [m for m in office.to(desk) if f" {about.number} " in m.subject and " E07 " in m.subject]


def told(office: PostOffice, desk: str, about: Answer) -> list[str]:
    return [mail.subject.split(" ")[2] for mail in mails(office, desk, about)]


def test_an_emergency_at_night_is_mailed_from_desk_to_desk_until_somebody_answers(
    night: WithMail, office: PostOffice
) -> None:
    sent = night.emergency()
    eventually(lambda: told(office, ON_CALL, sent) == [RAISED], 20, "a mail to the desk on call")
    (mail,) = mails(office, ON_CALL, sent)
    assert mail.subject == f"[つなぐ] E07 上申 {sent.number} (緊急)"
    due = datetime.fromisoformat(night.call(sent)["due_at"]).astimezone(JAPAN)
    assert f"応答期限 / answer by: {due:%Y-%m-%d}" in mail.text
    assert f"{due:%H:%M} 日本時間" in mail.text
    assert mails(office, NIGHT, sent) == []

    night.move_clock(ANSWER_WITHIN)
    eventually(lambda: told(office, NIGHT, sent) == [PASSED_ON], 20, "a mail to the next desk")
    assert told(office, ON_CALL, sent) == [RAISED]

    assert night.partner("core").acknowledges(night.call(sent)["id"]).status == 200
    for desk, before in ((ON_CALL, RAISED), (NIGHT, PASSED_ON)):
        eventually(
            lambda d=desk, b=before: told(office, d, sent) == [b, ACKNOWLEDGED],  # type: ignore[misc]
            20, f"both mails to {desk}",
        )  # fmt: skip
    for mail in office.mails:
        for secret in ("文京 太郎", "本郷", "motofuji", "本富士"):
            assert secret not in mail.whole


def test_a_mail_server_that_hangs_holds_up_neither_the_post_nor_the_call(
    night: WithMail, office: PostOffice
) -> None:
    """While its first mail is still hanging, the call has gone to the next desk and was answered."""
    office.hanging |= {address(ON_CALL), address(NIGHT)}
    sent = night.emergency()
    assert night.call(sent)["desk"] == ON_CALL
    eventually(lambda: office.knocked > 0, 20, "a mail on its way")

    night.move_clock(ANSWER_WITHIN)
    eventually(lambda: night.call(sent)["desk"] == NIGHT, 20, "the next desk called")
    assert night.partner("core").acknowledges(night.call(sent)["id"]).status == 200
    assert night.call(sent)["state"] == "acknowledged"
    another = night.emergency()
    assert night.call(another)["desk"] == ON_CALL
    night.settle()
    assert office.mails == []
    assert night.figure("delivery", "mails_waiting") >= 5
    assert night.figure("delivery", "mails_sent") == 0

    office.hanging.clear()

    def all_told() -> bool:
        night.move_clock(timedelta(seconds=10))  # until each is due again
        return (
            told(office, ON_CALL, sent) == [RAISED, ACKNOWLEDGED]
            and told(office, NIGHT, sent) == [PASSED_ON, ACKNOWLEDGED]
            and told(office, ON_CALL, another)[:1] == [RAISED]
        )

    eventually(all_told, 60, lambda: str([mail.subject for mail in office.mails]), every=0.3)  # type: ignore[arg-type]
