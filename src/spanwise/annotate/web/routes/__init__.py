"""All endpoints, one file per area."""

from spanwise.annotate.web.routes import adjudication, data, manage, people, rounds, runs, session, work

ENDPOINTS = (
    *session.ENDPOINTS,
    *work.ENDPOINTS,
    *manage.ENDPOINTS,
    *adjudication.ENDPOINTS,
    *data.ENDPOINTS,
    *people.ENDPOINTS,
    *rounds.ENDPOINTS,
    *runs.ENDPOINTS,
)
"""Everything that the server answers to, but for its static files."""
