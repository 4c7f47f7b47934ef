"""A method for every call of the contract.

This file is written by ``python -m services.publish`` from the OpenAPI document; a test fails
while it differs. Change the contract, not this file."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal
from uuid import UUID

from .line import Line, path
from .models import (
    Acceptance,
    Acknowledgement,
    AddressLocated,
    AddressToLocate,
    BatchGiven,
    Cancelling,
    CheckGiven,
    Closing,
    Completion,
    Decline,
    DeliveryTestGiven,
    DirectoryGiven,
    EscalationCall,
    EscalationList,
    HandoffOffer,
    HistoryGiven,
    InboxGiven,
    ManifestGiven,
    Note,
    ReferralBatch,
    ReferralGiven,
    ReferralList,
    ReferralSubmission,
    Reopening,
    Resolution,
    Ruling,
    Stage,
    Urgency,
    Withdrawal,
)
from .streams import StreamEvent


class Calls:
    """Each is named after its ``operationId``. A call that changes something gets an idempotency
    key of its own, which its repetitions keep; give one to keep it for longer. What was
    answered 202 is waited for. A refusal raises ``Problem``."""

    line: Line

    def submit_referral(
        self, body: ReferralSubmission, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """依頼を出す / Submit a referral

        ``POST /v1/referrals``"""
        return self.line.asked(
            "POST", "/v1/referrals", ReferralGiven, body=body, key=idempotency_key, keyed=True
        )

    def list_referrals(
        self,
        *,
        stage: Stage | str | None = None,
        function: str | None = None,
        urgency: Urgency | str | None = None,
        custodian: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> ReferralList:
        """関わる依頼の一覧（新しい順） / List your referrals, newest first

        ``GET /v1/referrals``"""
        return self.line.asked(
            "GET",
            "/v1/referrals",
            ReferralList,
            query={
                "stage": stage,
                "function": function,
                "urgency": urgency,
                "custodian": custodian,
                "after": after,
                "limit": limit,
            },
        )

    def offer_handoff(
        self, ref: UUID | str, body: HandoffOffer, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """他機関へ打診する / Offer it to other agencies

        ``POST /v1/referrals/{ref}/handoffs``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/handoffs", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def accept_handoff(
        self, ref: UUID | str, body: Acceptance | None = None, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """打診を受諾する / Accept an offer

        ``POST /v1/handoffs/{ref}/accept``"""
        return self.line.asked(
            "POST",
            path("/v1/handoffs/{ref}/accept", ref=ref),
            ReferralGiven,
            body=body or Acceptance(),
            key=idempotency_key,
            keyed=True,
        )

    def decline_handoff(
        self, ref: UUID | str, body: Decline, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """打診を辞退する / Decline an offer

        ``POST /v1/handoffs/{ref}/decline``"""
        return self.line.asked(
            "POST",
            path("/v1/handoffs/{ref}/decline", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def withdraw_handoff(
        self, ref: UUID | str, body: Withdrawal | None = None, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """打診を取り下げる / Withdraw an offer

        ``POST /v1/handoffs/{ref}/withdraw``"""
        return self.line.asked(
            "POST",
            path("/v1/handoffs/{ref}/withdraw", ref=ref),
            ReferralGiven,
            body=body or Withdrawal(),
            key=idempotency_key,
            keyed=True,
        )

    def complete_handoff(
        self, ref: UUID | str, body: Completion, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """依頼の完了を報告する / Report a request's outcome

        ``POST /v1/handoffs/{ref}/complete``"""
        return self.line.asked(
            "POST",
            path("/v1/handoffs/{ref}/complete", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def rule_district(
        self, ref: UUID | str, body: Ruling, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """地区を判定する（基幹のみ） / Rule a district (core centre only)

        ``POST /v1/referrals/{ref}/ruling``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/ruling", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def raise_escalation(
        self, ref: UUID | str, body: EscalationCall, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """基幹へ上申する / Escalate to the core centre

        ``POST /v1/referrals/{ref}/escalations``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/escalations", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def acknowledge_escalation(
        self,
        ref: UUID | str,
        body: Acknowledgement | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> ReferralGiven:
        """上申に応答する / Acknowledge an escalation

        ``POST /v1/escalations/{ref}/acknowledge``"""
        return self.line.asked(
            "POST",
            path("/v1/escalations/{ref}/acknowledge", ref=ref),
            ReferralGiven,
            body=body or Acknowledgement(),
            key=idempotency_key,
            keyed=True,
        )

    def resolve_escalation(
        self, ref: UUID | str, body: Resolution, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """上申を解決する / Resolve an escalation

        ``POST /v1/escalations/{ref}/resolve``"""
        return self.line.asked(
            "POST",
            path("/v1/escalations/{ref}/resolve", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def add_note(
        self, ref: UUID | str, body: Note, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """記録を加える / Add a note

        ``POST /v1/referrals/{ref}/notes``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/notes", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def close_referral(
        self, ref: UUID | str, body: Closing, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """終結する / Close with an outcome

        ``POST /v1/referrals/{ref}/close``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/close", ref=ref),
            ReferralGiven,
            body=body,
            key=idempotency_key,
            keyed=True,
        )

    def cancel_referral(
        self, ref: UUID | str, body: Cancelling | None = None, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """受諾前に取り消す / Cancel before anyone accepted

        ``POST /v1/referrals/{ref}/cancel``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/cancel", ref=ref),
            ReferralGiven,
            body=body or Cancelling(),
            key=idempotency_key,
            keyed=True,
        )

    def reopen_referral(
        self, ref: UUID | str, body: Reopening | None = None, *, idempotency_key: str | None = None
    ) -> ReferralGiven:
        """終結した件を再開する / Reopen a closed case

        ``POST /v1/referrals/{ref}/reopen``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/reopen", ref=ref),
            ReferralGiven,
            body=body or Reopening(),
            key=idempotency_key,
            keyed=True,
        )

    def locate_address(self, body: AddressToLocate) -> AddressLocated:
        """住所の担当地区を見る（何も起きません） / Find an address's district; nothing happens

        ``POST /v1/addresses/locate``"""
        return self.line.asked("POST", "/v1/addresses/locate", AddressLocated, body=body)

    def check_referral(self, body: ReferralSubmission) -> CheckGiven:
        """依頼を下見する（何も起きません） / Check a referral; nothing happens

        ``POST /v1/referrals/check``"""
        return self.line.asked("POST", "/v1/referrals/check", CheckGiven, body=body)

    def check_referrals(self, body: ReferralBatch) -> BatchGiven:
        """依頼をまとめて下見する / Check up to 500 referrals at once

        ``POST /v1/referrals/check/batch``"""
        return self.line.asked("POST", "/v1/referrals/check/batch", BatchGiven, body=body)

    def read_manifest(self, *, day: str | None = None) -> ManifestGiven:
        """送達目録を見る / Read the manifest of your inbox

        ``GET /v1/inbox/manifest``"""
        return self.line.asked("GET", "/v1/inbox/manifest", ManifestGiven, query={"day": day})

    def sign_manifest(self, *, idempotency_key: str | None = None) -> ManifestGiven:
        """いまの送達目録を求める / Have a manifest signed now

        ``POST /v1/inbox/manifest``"""
        return self.line.asked(
            "POST", "/v1/inbox/manifest", ManifestGiven, key=idempotency_key, keyed=True
        )

    def test_delivery(self, *, idempotency_key: str | None = None) -> DeliveryTestGiven:
        """通信試験を求める / Ask for a test event

        ``POST /v1/inbox/test``"""
        return self.line.asked(
            "POST", "/v1/inbox/test", DeliveryTestGiven, key=idempotency_key, keyed=True
        )

    def read_test(self, id: UUID | str) -> DeliveryTestGiven:
        """通信試験の結果を見る / Read what became of a test event

        ``GET /v1/inbox/test/{id}``"""
        return self.line.asked("GET", path("/v1/inbox/test/{id}", id=id), DeliveryTestGiven)

    def add_attachment(
        self,
        ref: UUID | str,
        content: bytes | Iterable[bytes],
        content_type: str,
        *,
        content_disposition: str | None = None,
        idempotency_key: str | None = None,
    ) -> ReferralGiven:
        """ファイルを添付する / Attach a file

        ``POST /v1/referrals/{ref}/attachments``"""
        return self.line.asked(
            "POST",
            path("/v1/referrals/{ref}/attachments", ref=ref),
            ReferralGiven,
            content=content,
            content_type=content_type,
            headed={"Content-Disposition": content_disposition},
            key=idempotency_key,
            keyed=True,
        )

    def read_attachment(self, id: UUID | str) -> bytes:
        """添付を読む / Read an attachment

        ``GET /v1/attachments/{id}``"""
        return self.line.asked_for_bytes("GET", path("/v1/attachments/{id}", id=id))

    def read_referral(self, ref: UUID | str) -> ReferralGiven:
        """依頼を見る / Read a referral

        ``GET /v1/referrals/{ref}``"""
        return self.line.asked("GET", path("/v1/referrals/{ref}", ref=ref), ReferralGiven)

    def read_history(self, ref: UUID | str) -> HistoryGiven:
        """経過を見る / Read its history

        ``GET /v1/referrals/{ref}/history``"""
        return self.line.asked("GET", path("/v1/referrals/{ref}/history", ref=ref), HistoryGiven)

    def stream_list_escalations(
        self,
        *,
        state: Literal["open", "raised", "acknowledged", "resolved", "all"] | None = None,
        code: str | None = None,
        district: str | None = None,
        custodian: str | None = None,
        last_event_id: int | None = None,
    ) -> Iterator[StreamEvent]:
        """上申を見張る（新しい変化の順） / Watch escalations, newest change first

        ``GET /v1/escalations`` (``text/event-stream``)"""
        return self.line.stream(
            "/v1/escalations",
            {"state": state, "code": code, "district": district, "custodian": custodian},
            last_event_id,
        )

    def list_escalations(
        self,
        *,
        state: Literal["open", "raised", "acknowledged", "resolved", "all"] | None = None,
        code: str | None = None,
        district: str | None = None,
        custodian: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> EscalationList:
        """上申を見張る（新しい変化の順） / Watch escalations, newest change first

        ``GET /v1/escalations``"""
        return self.line.asked(
            "GET",
            "/v1/escalations",
            EscalationList,
            query={
                "state": state,
                "code": code,
                "district": district,
                "custodian": custodian,
                "after": after,
                "limit": limit,
            },
        )

    def stream_read_inbox(self, *, last_event_id: int | None = None) -> Iterator[StreamEvent]:
        """貴機関あての出来事を読む / Read your agency's events

        ``GET /v1/inbox`` (``text/event-stream``)"""
        return self.line.stream("/v1/inbox", {}, last_event_id)

    def read_inbox(self, *, after: int | None = None, limit: int | None = None) -> InboxGiven:
        """貴機関あての出来事を読む / Read your agency's events

        ``GET /v1/inbox``"""
        return self.line.asked(
            "GET", "/v1/inbox", InboxGiven, query={"after": after, "limit": limit}
        )

    def read_directory(self) -> DirectoryGiven:
        """名簿と区のコードを見る / Read the directory

        ``GET /v1/directory``"""
        return self.line.asked("GET", "/v1/directory", DirectoryGiven)

    def read_request(self, id: UUID | str) -> ReferralGiven:
        """202 の後の答えを見る / Read what became of a request that was answered 202

        ``GET /v1/requests/{id}``"""
        return self.line.asked("GET", path("/v1/requests/{id}", id=id), ReferralGiven)

    def fhir_submit(
        self,
        content: bytes | Iterable[bytes],
        content_type: str,
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """FHIR で依頼を出す / Submit a referral as FHIR

        ``POST /fhir``"""
        return self.line.asked_for_json(
            "POST",
            "/fhir",
            content=content,
            content_type=content_type,
            key=idempotency_key,
            keyed=True,
        )

    def fhir_read_request(self, ref: UUID | str) -> dict[str, Any]:
        """依頼を ServiceRequest で見る / Read a referral as ServiceRequest

        ``GET /fhir/ServiceRequest/{ref}``"""
        return self.line.asked_for_json("GET", path("/fhir/ServiceRequest/{ref}", ref=ref))

    def fhir_read_task(self, ref: UUID | str) -> dict[str, Any]:
        """状態を Task で見る / Read a status as Task

        ``GET /fhir/Task/{ref}``"""
        return self.line.asked_for_json("GET", path("/fhir/Task/{ref}", ref=ref))

    def fhir_update_task(
        self,
        ref: UUID | str,
        content: bytes | Iterable[bytes],
        content_type: str,
        *,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Task の状態で答える / Answer by the status of a Task

        ``PUT /fhir/Task/{ref}``"""
        return self.line.asked_for_json(
            "PUT",
            path("/fhir/Task/{ref}", ref=ref),
            content=content,
            content_type=content_type,
            headed={"If-Match": if_match},
            key=idempotency_key,
            keyed=True,
        )

    def fhir_search_tasks(self, *, based_on: str | None = None) -> dict[str, Any]:
        """依頼の Task をすべて見る / Find the Tasks of a referral

        ``GET /fhir/Task``"""
        return self.line.asked_for_json("GET", "/fhir/Task", query={"based-on": based_on})

    def fhir_metadata(self) -> dict[str, Any]:
        """FHIR でできること / What is offered as FHIR

        ``GET /fhir/metadata``"""
        return self.line.asked_for_json("GET", "/fhir/metadata", open_to_all=True)

    def healthz(self) -> dict[str, Any]:
        """生きているか / Is it alive?

        ``GET /healthz``"""
        return self.line.asked_for_json("GET", "/healthz", open_to_all=True)

    def readyz(self) -> dict[str, Any]:
        """受け付けられるか / Would a POST succeed?

        ``GET /readyz``"""
        return self.line.asked_for_json("GET", "/readyz", open_to_all=True)

    def metrics(self) -> str:
        """計測値（Prometheus） / Metrics

        ``GET /metrics``"""
        return self.line.asked_for_text("GET", "/metrics", open_to_all=True)

    def openapi(self) -> dict[str, Any]:
        """この仕様（機械用） / This contract

        ``GET /openapi.json``"""
        return self.line.asked_for_json("GET", "/openapi.json", open_to_all=True)

    def docs(self) -> str:
        """この仕様（人間用） / This contract, for people

        ``GET /docs``"""
        return self.line.asked_for_text("GET", "/docs", open_to_all=True)
