"""The file from which a command line of an agency reads its key, as people write it."""

from pathlib import Path

import pytest

from runtime.keys import KeyFileError, agency_key

KEY = "sample-key-of-the-tests"  # of no agency


def a_file(folder: Path, body: bytes, mode: int = 0o600) -> Path:
    path = folder / "sample.key"
    path.write_bytes(body)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "body",
    [
        KEY.encode(),
        f"\n{KEY}\r\n".encode(),
        f'core = "other"\nhub-komagome = "{KEY}"\n'.encode(),
        b"\xef\xbb\xbf" + KEY.encode(),  # as Windows' Notepad writes it
        b"\xef\xbb\xbf" + f'hub-komagome = "{KEY}"'.encode(),
    ],
)
def test_a_file_holds_the_key_alone_or_each_agencys(tmp_path: Path, body: bytes) -> None:
    assert agency_key(a_file(tmp_path, body), "hub-komagome") == KEY


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        f'core = "{KEY}"'.encode(),
        f"hub-komagome = {KEY}".encode(),  # the quotes were forgotten
        f'hub-komagome = "{KEY}'.encode(),
        f"{KEY} {KEY}".encode(),
        b"hub-komagome = 1",
        "鍵".encode(),
        b"\xff\xfe",
        b"a = " + b"[" * 5_000,
    ],
)
def test_what_holds_no_key_is_told_and_nothing_is_sent(tmp_path: Path, body: bytes) -> None:
    path = a_file(tmp_path, body)
    with pytest.raises(KeyFileError, match=r"鍵.*/ ") as told:
        agency_key(path, "hub-komagome")
    assert KEY not in str(told.value)


def test_a_file_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="chmod 600"):
        agency_key(a_file(tmp_path, KEY.encode(), 0o644), "hub-komagome")
    with pytest.raises(KeyFileError, match="cannot read"):
        agency_key(tmp_path / "nowhere", "hub-komagome")
