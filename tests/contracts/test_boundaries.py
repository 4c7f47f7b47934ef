"""Who may know whom: the walls of the house."""

import ast
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel, ValidationError

import partners
import runtime
import schemas
import services
import watch
from schemas import codes, commands, due, events, journal, partner, queries, sealed
from schemas.publishing.messages import reader
from tests.contracts.samples import samples

# ``zoneinfo`` reads the zone's rules, ``unicodedata`` those of writing: data of the language, not of a place.
PURE = {
    "collections", "dataclasses", "datetime", "enum", "re", "typing", "unicodedata", "uuid", "zoneinfo",
    "pydantic", "schemas",
}  # fmt: skip
# They put the services together, so they may know all of them.
EXEMPT = {"cli.py", "credentials.py", "credentials_cli.py", "publish.py", "supervisor.py"}
OURS = {
    "schemas", "runtime", "wards", "services", "partners", "watch", "demo", "tests", "benchmarks",
}  # fmt: skip
MODULES = (codes, commands, due, events, journal, partner, queries, sealed)


def folder(package: ModuleType) -> Path:
    return Path(package.__path__[0])


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def files(package: ModuleType) -> list[Path]:
    return sorted(folder(package).rglob("*.py"))


def test_what_is_said_does_no_io() -> None:
    for path in files(schemas):
        for name in imports(path):
            assert name.partition(".")[0] in PURE, f"{path.name} imports {name}"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert not called & {"open", "print", "input", "exec", "eval", "__import__"}, path.name


def test_how_anything_runs_knows_only_the_subjects() -> None:
    for path in files(runtime):
        for name in imports(path):
            top = name.partition(".")[0]
            assert top not in OURS - {"schemas", "runtime"}, f"{path.name} imports {name}"
            if top == "schemas":
                assert name.startswith("schemas.subjects"), f"{path.name} imports {name}"


def test_the_board_knows_no_service() -> None:
    for path in files(watch):
        for name in imports(path):
            top = name.partition(".")[0]
            assert top not in OURS - {"schemas", "runtime", "wards", "watch"}, f"{path}: {name}"


def test_a_partners_side_knows_no_service() -> None:
    """What runs at a partner knows what is said, and how a few things run; not who decides. The client
    that a partner copies knows nothing of ours but itself, by whatever name."""
    for path in files(partners):
        if path.parent.name == "client":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            tops = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
            froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
            tops += [str(n.module) for n in froms if n.level == 0]
            assert not {top.partition(".")[0] for top in tops} & OURS, path
            assert all(n.level <= 1 for n in froms), path
            continue
        for name in imports(path):
            top = name.partition(".")[0]
            assert top not in OURS - {"schemas", "runtime", "partners"}, f"{path}: {name}"


def test_no_service_imports_another() -> None:
    for path in files(services):
        steps = path.relative_to(folder(services)).parts
        if len(steps) == 1:
            assert steps[0] in EXEMPT | {"__init__.py"}, f"{steps[0]} belongs to no service"
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            if top == "services":
                assert rest.partition(".")[0] == steps[0], f"{'/'.join(steps)} imports {name}"
            assert top in {"schemas", "runtime", "wards", "services"} or top not in OURS, (
                f"{'/'.join(steps)} imports {name}"
            )


def types(module: ModuleType) -> list[type[BaseModel]]:
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseModel) and kind.__module__ == module.__name__
    ]


@pytest.mark.parametrize("module", MODULES, ids=[m.__name__ for m in MODULES])
def test_every_type_is_frozen_and_says_what_it_is(module: ModuleType) -> None:
    for kind in types(module):
        assert kind.model_config.get("frozen") is True, kind.__name__
        assert kind.__doc__, f"{kind.__name__} has no docstring"


def test_what_was_read_cannot_be_changed() -> None:
    for name, message, raw in samples("good"):
        if not message.model.__module__.startswith("schemas.") or not message.model.model_fields:
            continue
        said = reader(message).validate_json(raw)
        field = next(iter(message.model.model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(said, field, None)
        assert said == reader(message).validate_json(raw), name


def test_closed_vocabularies_have_no_two_names_for_one_code() -> None:
    for _, kind in inspect.getmembers(codes, inspect.isclass):
        if issubclass(kind, Enum) and kind.__module__ == codes.__name__:
            assert len(kind.__members__) == len(list(kind)), kind.__name__
