"""The bundled ward with more agencies, for benchmarks."""

from collections.abc import Mapping
from pathlib import Path

from wards.load import bundled_ward

_AGENCY = """
[[agencies]]
id = "{id}"
kind = "provider"
name = "計測 {id}"
name_en = "Bench {id}"
sample = true
valid_from = 2019-04-01
{delivery}
[agencies.hours]
week = [{{ days = ["mon"], open = "10:00", close = "17:30" }}]
holidays = false
"""


def a_ward_with(folder: Path, agencies: Mapping[str, str]) -> Path:
    """``agencies``: of each the address of its webhook; empty: it fetches its events itself."""
    more = "".join(
        _AGENCY.format(
            id=name, delivery=f'delivery = {{ way = "webhook", url = "{url}" }}' if url else ""
        )
        for name, url in agencies.items()
    )
    path = folder / "bench.toml"
    path.write_text(bundled_ward().read_text("utf-8") + more, "utf-8")
    return path
