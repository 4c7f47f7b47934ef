"""The FHIR window (FHIR の窓口): its calls. What comes is read, and what goes is checked, in turn."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from uuid import UUID

from litestar import Response, get, post, put
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from runtime.clock import Clock
from runtime.observability import log
from schemas import queries as q
from schemas.base import JsonObject, ReferralRef
from schemas.codes import Scope
from schemas.commands import Answer
from schemas.problems import FieldProblem, ProblemCode, Refusal, invalid
from services.intake import responses
from services.intake.desk import NOT_INVOLVED, Desk, Pending, Result
from services.intake.edge import Act, Caller, Edge, Http, posted_by
from services.intake.fhir import answering, models, reading, telling
from services.intake.fhir.capability import capability
from services.intake.fhir.http import refused, resource_response, stale, told_in_fhir, unacceptable
from services.intake.fhir.outcome import in_fhir, not_taken, pending
from services.intake.fhir.turns import Turns
from services.intake.gateway import Gateway
from wards.model import Ward

_REF: TypeAdapter[UUID | str] = TypeAdapter(ReferralRef)
_NO_IDENTIFIER = invalid(
    "",
    "Idempotency-Key ヘッダーか、Bundle.identifier・ServiceRequest.identifier が要ります / the header "
    "Idempotency-Key is needed, or an identifier of the Bundle or the ServiceRequest",
)
_STALE = Refusal(
    ProblemCode.VERSION_CHANGED,
    (
        FieldProblem(
            "Task.meta.versionId", "If-Match の版ではありません / not the version in If-Match"
        ),
    ),
)


class Fhir:
    def __init__(self, edge: Edge, desk: Desk, gateway: Gateway, ward: Ward, clock: Clock) -> None:
        self._edge = edge
        self._desk = desk
        self._gateway = gateway
        self._ward = ward
        self._clock = clock
        self._turns = Turns()

    def handlers(self) -> list[HTTPRouteHandler]:
        def handling(
            name: str, scope: Scope, act: Act
        ) -> Callable[[Http], Awaitable[Response[bytes]]]:
            async def handler(request: Http) -> Response[bytes]:
                return await self._handle(request, name, scope, act)

            return handler

        @get("/fhir/metadata", name="fhir_metadata")
        async def metadata() -> Response[bytes]:
            return resource_response(capability(self._ward.name))

        return [
            post("/fhir", name="fhir_submit", status_code=201)(
                handling("fhir_submit", Scope.POST, self._submit)
            ),
            get("/fhir/ServiceRequest/{ref:str}", name="fhir_read_request")(
                handling("fhir_read_request", Scope.READ, self._read_request)
            ),
            get("/fhir/Task", name="fhir_search_tasks")(
                handling("fhir_search_tasks", Scope.READ, self._search_tasks)
            ),
            get("/fhir/Task/{ref:str}", name="fhir_read_task")(
                handling("fhir_read_task", Scope.READ, self._read_task)
            ),
            put("/fhir/Task/{ref:str}", name="fhir_update_task")(
                handling("fhir_update_task", Scope.ANSWER, self._update_task)
            ),
            metadata,
        ]

    # -- the calls -------------------------------------------------------------------------------

    async def _submit(self, request: Http, caller: Caller) -> Response[bytes]:
        posted = await posted_by(request, caller)
        if isinstance(posted, Refusal):
            return refused(posted)
        read = partial(reading.read_post, posted.raw, self._ward, caller.agency, self._clock.now())
        came = await self._turns.read(caller.agency, read)
        if isinstance(came, Refusal):
            return refused(came)
        key = posted.key or came.key
        if key is None:
            return refused(_NO_IDENTIFIER)
        result = await self._desk.submit(replace(posted, key=key, raw=came.slip.raw()))
        given = self._decided(result, came.slip.expression)
        if isinstance(given, Response):
            return given
        resources = [telling.service_request(given, self._ward), *telling.tasks(given, self._ward)]
        left = not_taken(came.left)
        told = telling.bundle("collection", [*resources, *([left] if left else ())])
        return await self._told(
            caller, told, 201, {"Location": f"/fhir/ServiceRequest/{given['id']}"}
        )

    async def _read_request(self, request: Http, caller: Caller) -> Response[bytes]:
        given = await self._given(caller, request.path_params["ref"])
        if given is None:
            return refused(NOT_INVOLVED)
        return await self._told(caller, telling.service_request(given, self._ward))

    async def _read_task(self, request: Http, caller: Caller) -> Response[bytes]:
        found = await self._find_task(caller, request.path_params["ref"])
        return refused(NOT_INVOLVED) if found is None else await self._told(caller, found[0])

    async def _search_tasks(self, request: Http, caller: Caller) -> Response[bytes]:
        wanted = request.query_params.get("based-on", "")
        kind, _, ref = wanted.rpartition("/")
        if not ref or kind not in ("", "ServiceRequest"):
            detail = "based-on=ServiceRequest/{id} で探してください / search by based-on"
            return refused(invalid("based-on", detail))
        given = await self._given(caller, ref)
        # Found nothing, and may not see it: the same answer, so that nobody can probe.
        found = telling.tasks(given, self._ward) if given is not None else []
        return await self._told(caller, telling.bundle("searchset", found))

    async def _update_task(self, request: Http, caller: Caller) -> Response[bytes]:
        posted = await posted_by(request, caller)
        if isinstance(posted, Refusal):
            return refused(posted)
        task = await self._turns.read(caller.agency, partial(reading.read_resource, posted.raw))
        if isinstance(task, Refusal):
            return refused(task)
        found = await self._find_task(caller, request.path_params["ref"])
        if found is None:
            return refused(NOT_INVOLVED)
        now, is_handoff = found
        task_id = now["id"]  # however the path spelt it
        asked = answering.read_answer(task, task_id, self._ward, handoff=is_handoff)
        if isinstance(asked, Refusal):
            return refused(asked)
        if asked.call.scope not in caller.scopes:
            return refused(Refusal(ProblemCode.INSUFFICIENT_SCOPE))
        already = now["status"] == task["status"]
        if already and posted.key is None:
            # What a PUT asks for is already so (RFC 9110, 9.2.2): nothing happens again.
            return await self._told(caller, now)
        if not already and stale(request, now):
            return refused(_STALE)
        answer = replace(posted, raw=asked.slip.raw())
        given = self._decided(
            await self._desk.act(asked.call, task_id, answer), asked.slip.expression
        )
        if isinstance(given, Response):
            return given
        told = next(t for t in telling.tasks(given, self._ward) if t["id"] == task_id)
        return await self._told(caller, told)

    # --------------------------------------------------------------------------------------------

    async def _handle(self, request: Http, name: str, scope: Scope, act: Act) -> Response[bytes]:
        async def work(caller: Caller) -> Response[bytes]:
            refusal = unacceptable(request)
            if refusal is not None:
                return refusal
            try:
                return await act(request, caller)
            except HTTPException as error:  # the body is too large
                return told_in_fhir(responses.on_http_exception(request, error))

        caller = await self._edge.access.caller(request)
        return told_in_fhir(await self._edge.let(caller, name, scope, work))

    def _decided(self, result: Result, where: Callable[[str], str]) -> JsonObject | Response[bytes]:
        """The referral as it was decided, or what is to be told instead."""
        match result:
            case Refusal():
                errors = tuple(replace(e, pointer=where(e.pointer)) for e in result.errors)
                return refused(Refusal(result.code, errors))
            case Pending():
                headers = {"Location": f"/v1/requests/{result.request}", "Retry-After": "1"}
                return resource_response(pending(), 202, headers)
            case Answer():
                body: JsonObject = from_json(result.body)
                return refused(in_fhir(body, where)) if result.status >= 400 else body

    async def _given(self, caller: Caller, ref: str) -> JsonObject | None:
        try:
            _REF.validate_python(ref)
        except ValidationError:
            return None
        return await self._desk.read(caller.agency, ref)

    async def _find_task(self, caller: Caller, task_id: str) -> tuple[JsonObject, bool] | None:
        """A Task that this agency may read, and whether it is that of a hand-off."""
        try:
            wanted = UUID(task_id)
        except ValueError:
            return None
        given = await self._desk.read(caller.agency, str(wanted))
        if given is not None:
            return telling.referral_task(given, self._ward), False
        question = q.Locate(agency=caller.agency, handoff=wanted)
        told = await self._gateway.ask("referral", "locate", question)
        if not told.found or told.referral is None:
            return None
        given = await self._desk.read(caller.agency, str(told.referral))
        handoffs = given.get("handoffs") or () if given is not None else ()
        for handoff in handoffs:
            if given is not None and handoff["id"] == str(wanted):
                return telling.handoff_task(given, handoff, self._ward), True
        return None

    async def _told(
        self,
        caller: Caller,
        resource: JsonObject,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response[bytes]:
        """What goes out is checked as what comes in: a fault of ours is one, and told as one."""
        fault = await self._turns.take(caller.agency, partial(models.check, resource))
        if fault is not None:
            return refused(_fault(fault))
        return resource_response(resource, status, headers)


def _fault(fault: Refusal) -> Refusal:
    log("fhir_not_well_formed", at=[error.pointer for error in fault.errors])
    return Refusal(ProblemCode.INTERNAL)
