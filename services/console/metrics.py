"""Figures for Prometheus: the console's own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Labels are names of pages and statuses: never a path, an id or a person."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tsunagu_console_requests", "HTTP requests", ["page", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "tsunagu_console_seconds", "Time to answer", ["page"], registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
        )  # fmt: skip
        self.streams_open = Gauge(
            "tsunagu_console_streams_open", "Boards and inboxes that are looked at now", ["kind"],
            registry=self.registry,
        )  # fmt: skip

    def observe(self, page: str, status: int, seconds: float) -> None:
        self._requests.labels(page, status).inc()
        self._seconds.labels(page).observe(seconds)

    def page(self) -> bytes:
        return generate_latest(self.registry)
