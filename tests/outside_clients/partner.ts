// A partner's system in TypeScript: types by openapi-typescript, calls by openapi-fetch, nothing of ours.
// It posts, answers, reads, is refused, and tells what it saw as one line of JSON.
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Referral = components["schemas"]["ReferralSubmission"];

const url = process.env.TSUNAGU_URL ?? "";
const of = (key: string | undefined) =>
  createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const sender = of(process.env.SENDER_KEY);
const hub = of(process.env.HUB_KEY);

const referral: Referral = {
  function: "emergency",
  urgency: "urgent",
  person: { name: "サンプル 花子", phone: "03-0000-0000" },
  address: { text: "文京区本郷二丁目21番3号", kind: "registered" },
  summary: "母が急病で入院。今夜から介護者不在。",
  consent: { basis: "C2" },
};

const posted = await sender.POST("/v1/referrals", {
  params: { header: { "Idempotency-Key": randomUUID() } },
  body: referral,
});
if (posted.error) throw new Error(posted.error.code);
if (!posted.data || !("handoffs" in posted.data)) throw new Error("not decided yet");
const offer = posted.data.handoffs?.[0];
if (!offer) throw new Error("nobody was asked");

const accepted = await hub.POST("/v1/handoffs/{ref}/accept", {
  params: { path: { ref: offer.id } },
  body: {},
});
if (accepted.error) throw new Error(accepted.error.code);

const read = await hub.GET("/v1/referrals/{ref}", { params: { path: { ref: posted.data.id } } });
const inbox = await hub.GET("/v1/inbox", { params: { query: { limit: 1000 } } });
// The same place is a stream too; this asked for the list.
if (typeof inbox.data !== "object") throw new Error("not a list");
const again = await hub.POST("/v1/handoffs/{ref}/decline", {
  params: { path: { ref: offer.id } },
  body: { said_by: "agency", reason: "no_capacity" },
});

console.log(
  JSON.stringify({
    number: posted.data.number,
    offered_by: offer.from,
    custodian: read.data?.custodian,
    stage: read.data?.stage,
    name: read.data?.person?.name,
    numbers: inbox.data.items.map((item) => item.number),
    refused: again.error?.code,
  }),
);
