"""Ward files that tests and benchmarks change a little."""

import re
from pathlib import Path

from wards.load import bundled_ward


def a_ward_file(folder: Path, limits: str) -> Path:
    """The bundled ward, with other limits for each agency."""
    text = bundled_ward().read_text(encoding="utf-8")
    changed, places = re.subn(
        r"^\[limits\]\n(?:[a-z_]+ = \d+\n)+", f"[limits]\n{limits}\n", text, flags=re.MULTILINE
    )
    assert places == 1
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "ward.toml"
    path.write_text(changed, encoding="utf-8")
    return path


def without_limits(folder: Path) -> Path:
    """For load that comes from a few agencies and stands for that of many."""
    return a_ward_file(folder, "requests_per_second = 1000000\nburst = 1000000\nat_once = 10000")
