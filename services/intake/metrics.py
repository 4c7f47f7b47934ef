"""Figures for Prometheus: intake's own, and those the other services tell when asked."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from services.intake.gateway import Gateway

SERVICES = ("referral", "delivery", "audit", "console")


class Metrics:
    """Labels are names of calls, statuses and services: never a path or an id."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tsunagu_requests", "HTTP requests", ["call", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "tsunagu_request_seconds",
            "Time to answer",
            ["call"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.streams_open = Gauge(
            "tsunagu_streams_open", "Streams that are read now", ["kind"], registry=self.registry
        )
        for kind in ("escalations", "inbox"):
            self.streams_open.labels(kind)
        self.unscanned = Gauge(
            "tsunagu_attachments_unscanned", "Attachments that wait for the virus scanner",
            registry=self.registry,
        )  # fmt: skip
        self.door = Gauge(
            "tsunagu_door_lines", "Agencies whose NATS clients can be answered",
            registry=self.registry,
        )  # fmt: skip
        self.credentials_age = Gauge(
            "tsunagu_credentials_age_seconds", "Since it was last seen who may come in",
            registry=self.registry,
        )  # fmt: skip
        self._up = Gauge(
            "tsunagu_service_up", "1: answers and does its part", ["service"],
            registry=self.registry,
        )  # fmt: skip
        self._figures = Gauge(
            "tsunagu_figure", "What a service tells of itself", ["service", "figure"],
            registry=self.registry,
        )  # fmt: skip
        self._gaps = Gauge(
            "tsunagu_journal_gap", "Journal entries that a reader misses", ["service", "producer"],
            registry=self.registry,
        )  # fmt: skip

    def observe(self, call: str, status: int, seconds: float) -> None:
        """One request was answered."""
        known = self._children.get((call, status))
        if known is None:
            known = (self.requests.labels(call, status), self.seconds.labels(call))
            self._children[call, status] = known
        counter, histogram = known
        counter.inc()
        histogram.observe(seconds)

    async def page(self, gateway: Gateway) -> bytes:
        self._gaps.clear()
        for service in SERVICES:
            status = await gateway.status(service)
            self._up.labels(service).set(1 if status is not None and status.ready else 0)
            if status is None:
                continue
            for name, value in status.figures.items():
                self._figures.labels(service, name).set(value)
            for gap in status.gaps:
                self._gaps.labels(service, gap.producer).set(gap.last - gap.first + 1)
        return generate_latest(self.registry)
