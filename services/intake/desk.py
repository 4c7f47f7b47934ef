"""The desk (受付): what happens between an admitted request and its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json

from runtime.broker import NoAnswer, NotDurable
from runtime.clock import Clock
from runtime.ids import new_id
from schemas import commands as c
from schemas import queries as q
from schemas.base import JsonObject
from schemas.codes import ScanState
from schemas.partner import AddressRead, AddressToLocate
from schemas.problems import ProblemCode, Refusal
from schemas.sealed import Group, SealedGroup, SealedRecord
from services.intake import admission
from services.intake.addressing import Located
from services.intake.calls import Call, build_submission, personal_data
from services.intake.gateway import Gateway
from services.intake.identity import Names
from services.intake.key_store import KeyStore, KeyStoreFailed
from services.intake.sealing import SealBroken, seal, unseal
from wards.model import Ward

NOT_INVOLVED = Refusal(ProblemCode.NOT_INVOLVED)
UNAVAILABLE = Refusal(ProblemCode.UNAVAILABLE)
_AT_ONCE = 20
"""Bodies of a batch that are admitted in one go, a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A POST as it came in: who, with which idempotency key (None: none), which bytes."""

    agency: str
    key: str | None
    raw: bytes
    wait: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """Durable, not decided yet."""

    request: UUID


Result = c.Answer | Pending | Refusal
Scans = Callable[[UUID], Awaitable[Mapping[str, ScanState]]]
"""What the scanner says of a referral's attachments, by the hash on record. Raises KeyStoreFailed."""


class Desk:
    def __init__(
        self,
        ward: Ward,
        names: Names,
        keys: KeyStore,
        gateway: Gateway,
        clock: Clock,
        scans: Scans,
    ) -> None:
        self._ward = ward
        self._names = names
        self._keys = keys
        self._gateway = gateway
        self._clock = clock
        self._scans = scans

    async def submit(self, posted: Posted) -> Result:
        """``POST /v1/referrals``: admit, find the district, seal, make durable, await the answer."""
        admitted = admission.admit(posted.raw, self._ward)
        if isinstance(admitted, Refusal):
            return admitted
        body = admitted.body
        request = self._request_id(posted)
        referral = self._names.referral_id(request)
        try:
            key = await self._keys.key_for(referral)
        except KeyStoreFailed:
            return UNAVAILABLE
        sealed = tuple(
            seal(key, referral, group, payload) for group, payload in personal_data(body).items()
        )
        finding = self._finding(admitted.place) if admitted.place else None
        action = build_submission(referral, body, finding, sealed)
        fingerprint = self._names.fingerprint("submit_referral", "", body)
        return await self._send(posted, request, fingerprint, action)

    async def rehearse(self, agency: str, raws: Sequence[bytes]) -> list[JsonObject]:
        """What ``submit`` would come to for each body, in order, each as ``BatchItemGiven``:
        admitted and asked of the deciding service, and nothing happens. Raises NoAnswer."""
        refused: list[JsonObject | None] = []
        actions: list[c.SubmitReferral] = []
        for number, raw in enumerate(raws, start=1):
            admitted = admission.admit(raw, self._ward)
            if isinstance(admitted, Refusal):
                refused.append(admitted.document())
            else:
                finding = self._finding(admitted.place) if admitted.place else None
                referral = new_id(self._clock.now())
                actions.append(build_submission(referral, admitted.body, finding, ()))
                refused.append(None)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)  # nobody else waits for a whole batch
        told: Iterator[JsonObject] = iter(())
        if actions:
            question = q.RehearseSubmissions(agency=agency, actions=tuple(actions))
            told = iter((await self._gateway.ask("referral", "rehearse", question)).body["items"])
        return [{"problem": problem} if problem else next(told) for problem in refused]

    async def locate(self, agency: str, raw: bytes) -> JsonObject | Refusal:
        """``POST /v1/addresses/locate``: the district that a referral with this address would come to, as
        ``AddressLocated``. Raises NoAnswer."""
        body = admission.read_body(AddressToLocate, raw)
        if isinstance(body, Refusal):
            return body
        place = admission.place_of(body.text, self._ward, "/text")
        if isinstance(place, Refusal):
            return place
        question = q.SettleDistrict(agency=agency, finding=self._finding(place))
        settled = (await self._gateway.ask("referral", "settle", question)).body
        read = place.address.model_dump(include=set(AddressRead.model_fields), exclude_none=True)
        warnings = [warning.value for warning in place.finding.warnings]
        return {**settled, "warnings": warnings, "address": read}

    async def act(self, call: Call, ref: str, posted: Posted) -> Result:
        """Any other changing call. Free words are sealed with the referral's own key, so the
        referral they belong to is looked up first; without words nothing is looked up."""
        body = admission.read_body(call.body, posted.raw)
        if isinstance(body, Refusal):
            return body
        words = getattr(body, call.text, None)
        try:
            sealed: tuple[SealedGroup, ...] = ()
            if words is not None:
                sealed = await self._seal_words(call, ref, posted.agency, words)
            action = call.build(ref, body, sealed)
        except (NoAnswer, KeyStoreFailed):
            return UNAVAILABLE
        except (LookupError, ValueError):
            # No such id, or no id at all: the same answer, so that nobody can probe.
            return NOT_INVOLVED
        fingerprint = self._names.fingerprint(call.name, ref, body)
        return await self._send(posted, self._request_id(posted), fingerprint, action)

    async def recorded(self, agency: str, request: UUID) -> Result:
        """What became of a request that was answered 202. It is also pending when nobody knows it:
        it may still be on its way. Raises NoAnswer."""
        question = q.ReadAnswer(agency=agency, request=request)
        told = await self._gateway.ask("referral", "answer", question)
        if not told.found:
            return Pending(request)
        return c.Answer(status=told.body["status"], body=to_json(told.body["body"]).decode())

    async def read(self, agency: str, ref: str) -> JsonObject | None:
        """One referral, opened for an agency that may read it. Raises NoAnswer."""
        told = await self._ask_about(q.ReadReferral, "read", agency, ref)
        if told is None:
            return None
        opened = await self._open(told)
        submission: JsonObject = {}
        names: dict[str, str] = {}
        for (_, group), payload in opened.items():
            if group is Group.ATTACHMENT:
                names[payload["attachment"]] = payload["name"]
            else:
                submission |= payload
        if told.referral is not None and names:
            scans = await self._scans(told.referral)
            for given in told.body["attachments"]:
                if given["id"] in names:
                    scan = scans.get(given["ciphertext_sha256"], ScanState.PENDING)
                    given |= {"name": names[given["id"]], "scan": scan.value}
        return {**told.body, **submission, "opened": bool(opened)}

    async def history(self, agency: str, ref: str) -> JsonObject | None:
        """Every event of one referral, with its words where the agency may read them. Raises
        NoAnswer."""
        items: list[JsonObject] = []
        while True:
            after = items[-1]["data"]["version"] if items else 0
            told = await self._ask_about(q.ReadHistory, "history", agency, ref, after=after)
            if told is None:
                return None
            words: dict[str, JsonObject] = {}
            for (event, _), payload in (await self._open(told)).items():
                words.setdefault(str(event), {}).update(payload)
            for item in told.body["items"]:
                if item["id"] in words:
                    item["data"]["opened"] = words[item["id"]]
            items += told.body["items"]
            if not told.body.get("more"):
                return {"items": items}

    async def obstacle(self) -> str | None:
        """Why a POST would not succeed now: ``commands`` cannot be made durable, or ``keys`` cannot
        be kept; None when it would. Tried for real."""
        probe = c.Command(
            id=new_id(self._clock.now()),
            ward=self._ward.code,
            agency=self._ward.core,
            issued_at=self._clock.now(),
            fingerprint="0" * 64,
            action=c.ProbeWriting(),
        )
        try:
            await self._gateway.publish(probe, {})
        except NotDurable:
            return "commands"
        return None if await self._keys.can_write() else "keys"

    # --------------------------------------------------------------------------------------------

    def _request_id(self, posted: Posted) -> UUID:
        if posted.key is None:
            return new_id(self._clock.now())
        return self._names.request_id(posted.agency, posted.key)

    def _finding(self, place: Located) -> c.Finding:
        block = place.block
        return c.Finding(
            district=place.finding.district,
            basis=place.finding.basis,
            candidates=place.finding.candidates,
            block_key=self._names.block_key(self._ward.code, block) if block else None,
        )

    async def _send(
        self, posted: Posted, request: UUID, fingerprint: str, action: c.Action
    ) -> Result:
        command = c.Command(
            id=request,
            ward=self._ward.code,
            agency=posted.agency,
            issued_at=self._clock.now(),
            fingerprint=fingerprint,
            action=action,
        )
        try:
            answer = await self._gateway.send(command, wait=posted.wait)
        except NotDurable:
            return UNAVAILABLE
        return answer if answer is not None else Pending(request)

    async def _seal_words(
        self, call: Call, ref: str, agency: str, words: str
    ) -> tuple[SealedGroup, ...]:
        """Raises NoAnswer, KeyStoreFailed, LookupError (not for this agency), ValueError (no id)."""
        question = q.Locate(
            agency=agency,
            ref=ref if call.target == "referral" else None,
            handoff=UUID(ref) if call.target == "handoff" else None,
            escalation=UUID(ref) if call.target == "escalation" else None,
        )
        told = await self._gateway.ask("referral", "locate", question)
        if not told.found or told.referral is None:
            raise LookupError
        key = await self._keys.key_for(told.referral)
        return (seal(key, told.referral, Group.TEXT, {call.text: words}),)

    async def _ask_about(
        self,
        shape: type[q.ReadReferral] | type[q.ReadHistory],
        name: str,
        agency: str,
        ref: str,
        **more: Any,
    ) -> q.Told | None:
        try:
            question = shape(agency=agency, ref=ref, **more)
        except ValidationError:
            return None
        told = await self._gateway.ask("referral", name, question)
        return told if told.found else None

    async def _open(self, told: q.Told) -> dict[tuple[UUID, Group], dict[str, Any]]:
        """Open what the deciding service says this agency may see; what was erased, or does not
        match its commitment, stays shut."""
        if told.referral is None or not told.sealed:
            return {}
        key = await self._keys.find(told.referral)
        if key is None:
            return {}
        return dict(_opened(key, told.referral, told.sealed))


def _opened(
    key: bytes, referral: UUID, sealed: Iterable[SealedRecord]
) -> Iterable[tuple[tuple[UUID, Group], dict[str, Any]]]:
    for record in sealed:
        try:
            yield (record.event, record.group), unseal(key, referral, record)
        except SealBroken:
            continue
