"""What those who look after a server want to see: numbers for Prometheus, and one line of JSON per request for logs.

Addresses stand in both as their patterns, without ids and questions: nothing in them is a person's.
"""

import json
import logging
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

access = logging.getLogger("spanwise.annotate.access")
"""One line per request; silent until somebody gives it a handler."""
access.propagate = False
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Watch:
    """The requests of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "spanwise_request_seconds",
            "Time to answer, by address, method and status.",
            ("method", "path", "status"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._slots = Gauge("spanwise_slots", "Slots of the project, by state.", ("state",), registry=self._registry)

    def note(self, method: str, path: str, status: int, seconds: float, user_id: str | None) -> None:
        """Takes notice of a request that was answered."""
        self._requests.labels(method, path, str(status)).observe(seconds)
        if access.isEnabledFor(logging.INFO):
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            row = {"at": at, "method": method, "path": path, "status": status, "ms": round(seconds * 1000, 1)}
            access.info(json.dumps(row | {"user": user_id}))

    def text(self, slots: dict[str, int]) -> bytes:
        """All numbers in the text format of Prometheus."""
        for state, count in slots.items():
            self._slots.labels(state).set(count)
        return generate_latest(self._registry)


def log_requests() -> None:
    """Writes a line per request to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    access.addHandler(handler)
    access.setLevel(logging.INFO)
