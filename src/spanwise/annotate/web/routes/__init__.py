"""All endpoints, one file per area: a new endpoint is a function there and a row in its `ENDPOINTS`."""

from spanwise.annotate.web.routes import (
    adjudication,
    data,
    health,
    manage,
    people,
    quality,
    questions,
    rounds,
    runs,
    session,
    work,
)

__all__ = ["ENDPOINTS"]

ENDPOINTS = (
    *session.ENDPOINTS,
    *work.ENDPOINTS,
    *manage.ENDPOINTS,
    *questions.ENDPOINTS,
    *quality.ENDPOINTS,
    *adjudication.ENDPOINTS,
    *data.ENDPOINTS,
    *people.ENDPOINTS,
    *rounds.ENDPOINTS,
    *runs.ENDPOINTS,
    *health.ENDPOINTS,
)
"""Everything that the server answers to, but for its static files."""
