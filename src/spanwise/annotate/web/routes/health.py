"""For those who look after the server: whether it is well, and its numbers."""

from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from spanwise.annotate.web.endpoints import Call, Endpoint
from spanwise.annotate.work import slot_states
from spanwise.core import SpanwiseError
from spanwise.feedback import Record


class Health(Record):
    """Whether the server can do its work."""

    status: Literal["ok", "failing"]
    detail: str
    """What is wrong, in a sentence; empty when nothing is."""


def healthz(call: Call) -> JSONResponse:
    """Whether the database can be read; 503 when it cannot. It needs no login, and tells nothing of the project."""
    try:
        with call.database.read() as connection:
            connection.execute(text("SELECT 1 FROM project LIMIT 1"))
        health, status = Health(status="ok", detail=""), 200
    except SpanwiseError as error:
        health, status = Health(status="failing", detail=str(error)), 503
    return JSONResponse(health.model_dump(), status_code=status)


def api_metrics(call: Call) -> Response:
    """Counts and times of requests by address, and slots by state, in the text format of Prometheus."""
    return Response(call.site.watch.text(slot_states(call.database, call.project)), media_type=CONTENT_TYPE_LATEST)


ENDPOINTS = (
    Endpoint("GET", "/healthz", healthz, "public"),
    Endpoint("GET", "/api/v1/metrics", api_metrics, "view", scope="read"),
)
