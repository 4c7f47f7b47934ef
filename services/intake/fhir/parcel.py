"""What came as one parcel (荷物): its resources, where each stands, and who refers to whom. Pure.

References are looked up, never followed by themselves: a circle of them leads nowhere.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.base import JsonObject
from services.intake.fhir import moments
from services.intake.fhir.names import extension, system


@dataclass(frozen=True, slots=True)
class Resource:
    """``path``: where it stands, as FHIRPath; ``owner``: the path of what it is contained in."""

    body: JsonObject
    path: str
    full_url: str = ""
    owner: str = ""

    @property
    def type(self) -> str:
        return str(self.body.get("resourceType"))

    def extension(self, name: str) -> tuple[Any, str] | None:
        """The value of one of our extensions, and where it stands."""
        return extension_of(self.body, self.path, name)


class Parcel:
    def __init__(self, root: JsonObject, ward: str, now: datetime) -> None:
        self.root = root
        self.ward = ward
        self._now = now
        self.resources: tuple[Resource, ...] = tuple(resources(root))
        self._used: set[str] = set()

    def of(self, *types: str) -> list[Resource]:
        return [r for r in self.resources if r.type in types]

    def use(self, resource: Resource) -> Resource:
        self._used.add(resource.path)
        return resource

    @property
    def used(self) -> list[Resource]:
        return [r for r in self.resources if r.path in self._used]

    @property
    def unused(self) -> list[Resource]:
        return [r for r in self.resources if r.path not in self._used]

    def twice(self) -> list[str]:
        """Where something stands under a name that something else has: nobody could say which of
        them is meant."""
        names: dict[tuple[str, str], list[str]] = {}
        for r in self.resources:
            if r.full_url:
                names.setdefault(("", r.full_url), []).append(r.path)
            if r.body.get("id"):
                names.setdefault((f"{r.owner}/{r.type}", str(r.body["id"])), []).append(r.path)
        return list(dict.fromkeys(path for paths in names.values() for path in paths[1:]))

    def in_force(self, element: JsonObject) -> bool:
        """Whether an element holds now, as its period has it."""
        return moments.in_force(element.get("period"), self._now)

    def find(self, reference: Any, holder: Resource) -> Resource | None:
        """The resource that a Reference within ``holder`` names, to be used; None when it is not
        here."""
        found = self.look(reference, holder)
        return None if found is None else self.use(found)

    def look(self, reference: Any, holder: Resource) -> Resource | None:
        """The same, without taking anything of it yet."""
        target = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(target, str) or not target:
            return None
        if target.startswith("#"):
            owner = holder.owner or holder.path
            found = [
                r for r in self.resources
                if (r.path if target == "#" else r.owner) == owner
                if target in ("#", f"#{r.body.get('id')}")
            ]  # fmt: skip
        else:
            target = target.partition("/_history/")[0]
            found = [r for r in self.resources if r.full_url == target]
            if not found and ":" not in target:
                kind, _, name = target.rpartition("/")
                found = [
                    r for r in self.resources
                    if not r.owner and r.type == kind and r.body.get("id") == name
                ]  # fmt: skip
        return found[0] if len(found) == 1 else None

    def concerns(self, reference: Any, holder: Resource, wanted: Resource | None) -> bool:
        """Whether a Reference names this very resource, or nothing at all. Whatever cannot be found
        is taken for another."""
        if not isinstance(reference, dict):
            return True
        if reference.get("reference"):
            return wanted is not None and self.find(reference, holder) is wanted
        said = reference.get("identifier")
        if isinstance(said, dict) and said.get("value"):
            own = wanted.body.get("identifier") or () if wanted is not None else ()
            return any(all(i.get(k) == said.get(k) for k in ("system", "value")) for i in own)
        return not reference.get("display")

    def identifiers(
        self, reference: Any, holder: Resource, *, steps: int = 2
    ) -> Iterator[JsonObject]:
        """What the organisation that a Reference names is called, and what that is which it belongs to:
        from a PractitionerRole to a department to its organisation; no step further."""
        if not isinstance(reference, dict):
            return
        if isinstance(reference.get("identifier"), dict):
            yield reference["identifier"]
        named = self.find(reference, holder)
        if named is None:
            return
        for identifier in named.body.get("identifier") or ():
            if identifier.get("use") != "old":
                yield identifier
        above = {"PractitionerRole": "organization", "Organization": "partOf"}.get(named.type)
        if steps and above is not None:
            yield from self.identifiers(named.body.get(above), named, steps=steps - 1)

    def place(self, reference: Any, holder: Resource) -> dict[str, str] | None:
        """``{"agency": id}`` or ``{"district": id}`` of what a Reference names; None when it says
        neither."""
        for identifier in self.identifiers(reference, holder):
            for what in ("agency", "district"):
                if identifier.get("system") == system(self.ward, what) and "value" in identifier:
                    return {what: str(identifier["value"])}
        return None


def resources(root: JsonObject) -> Iterator[Resource]:
    """Every resource of a parcel: those of a Bundle's entries, and what each contains."""
    if root.get("resourceType") != "Bundle":
        yield from _with_contained(root, str(root.get("resourceType")))
        return
    for i, entry in enumerate(_listed(root.get("entry"))):
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            path = f"Bundle.entry[{i}].resource"
            yield from _with_contained(entry["resource"], path, str(entry.get("fullUrl") or ""))


def _with_contained(body: JsonObject, path: str, full_url: str = "") -> Iterator[Resource]:
    yield Resource(body, path, full_url)
    for i, inner in enumerate(_listed(body.get("contained"))):
        if isinstance(inner, dict):
            yield Resource(inner, f"{path}.contained[{i}]", owner=path)


def _listed(value: Any) -> list[Any]:
    """What came need not be FHIR yet."""
    return value if isinstance(value, list) else []


def extension_of(body: JsonObject, path: str, name: str) -> tuple[Any, str] | None:
    """The value of one of our extensions on an element, and where it stands."""
    for i, held in enumerate(body.get("extension") or ()):
        if held.get("url") == extension(name):
            value = next((v for key, v in held.items() if key.startswith("value")), None)
            return value, f"{path}.extension[{i}]"
    return None


def codes(concepts: Any, wanted: str, path: str) -> Iterator[tuple[str, str]]:
    """The codes of one system among CodeableConcepts (one, or a list of them), and where each
    stands."""
    one = isinstance(concepts, dict)
    for i, concept in enumerate([concepts] if one else concepts or ()):
        where = path if one else f"{path}[{i}]"
        for n, coding in enumerate(concept.get("coding") or ()):
            if coding.get("system") == wanted and "code" in coding:
                yield str(coding["code"]), f"{where}.coding[{n}]"


def texts(items: Any, path: str, key: str = "text") -> Iterable[tuple[str, str]]:
    """The words of a list of elements that have some."""
    for i, item in enumerate(items or ()):
        if isinstance(item, dict) and isinstance(item.get(key), str) and item[key].strip():
            yield item[key].strip(), f"{path}[{i}].{key}"
