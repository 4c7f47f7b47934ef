"""Partners at work while everything is killed, shortly; `python -m tests.torture` does it for longer."""

import random
from pathlib import Path

import pytest

from tests.network import EVERYTHING
from tests.torture import torture


@pytest.mark.slow
def test_whatever_is_killed_everything_accepted_is_decided_once_and_on_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with capsys.disabled():
        print(f"\ntorture: seed {seed} ", end="", flush=True)
    figures = torture(tmp_path, 15, seed)
    assert figures["kills"].keys() == set(EVERYTHING)
    # How much came through between the kills is the machine's affair.
    assert figures["succeeded"] > 0
    assert figures["entries"] > figures["referrals"] > 0
