"""On which line of a ward file a key stands, so that a mistake can be shown where it is.

``tomllib`` reads values and forgets lines. This walks the text beside it: table headers, keys, and
the elements of an array that is written one element a line. It only serves messages, so where a
line is laid out in another way it points to the nearest key around it instead.
"""

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*=\s*(.*)$""")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*')


def _depth(text: str) -> int:
    """How many brackets a line opens and leaves open, outside strings and comments."""
    bare = _QUOTED.sub("", text)
    return sum(bare.count(c) for c in "[{") - sum(bare.count(c) for c in "]}")


def lines_of(text: str) -> dict[Path, int]:
    """The line, counted from one, of every key path found in the text of a TOML file."""
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    array: Path | None = None
    depth = element = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if array is not None:
            if depth == 1 and line.strip()[:1] not in {"", "#", "]"}:
                places[*array, element] = number
                element += 1
            depth += _depth(line)
            if depth <= 0:
                array = None
        elif header := _HEADER.match(line):
            repeated = header[1] == "[["
            table = _table(header[2].split("."), repeated, counts)
            places[table] = number
            if repeated:  # the array stands where its first element stands
                places.setdefault(table[:-1], number)
        elif key := _KEY.match(line):
            path = (*table, key[1].strip("\"'"))
            places[path] = number
            depth = _depth(key[2])
            if depth > 0:
                array, element = path, 0
    return places


def _table(names: list[str], repeated: bool, counts: dict[Path, int]) -> Path:
    """The path of a header; a name that was opened with ``[[`` stands for its latest element."""
    path: Path = ()
    for name in names[:-1]:
        path = (*path, name.strip())
        if path in counts:
            path = (*path, counts[path])
    path = (*path, names[-1].strip())
    if repeated:
        counts[path] = counts.get(path, -1) + 1
        path = (*path, counts[path])
    return path


def line_of(path: Path, places: dict[Path, int]) -> int | None:
    """The line of a key, or of the nearest thing around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None


def written(path: Path) -> str:
    """``("agencies", 3, "hours")`` as people write it: ``agencies[3].hours``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
