"""The next round: the button that begins it, and how it stands."""

from spanwise.annotate.rounds import RoundJob, RoundState
from spanwise.annotate.store import UnknownError, current
from spanwise.annotate.web.endpoints import Call, Endpoint, Redirect


def _job(call: Call) -> RoundJob:
    job = call.site.parts.get(RoundJob)
    if job is None:
        raise UnknownError("This server was started without a project folder, so it closes no rounds.")
    return job


def _start(call: Call) -> None:
    _job(call).start(current(call.database, call.project).round, by=call.who)


def close_round(call: Call) -> Redirect:
    """Starts the command that closes the round, from the overview."""
    _start(call)
    return Redirect("/overview")


def api_close(call: Call) -> RoundState:
    """Starts the command that closes the round."""
    _start(call)
    return _job(call).state()


def api_state(call: Call) -> RoundState:
    """What the command is at, or how it ended."""
    return _job(call).state()


ENDPOINTS = (
    Endpoint("POST", "/round", close_round, "manage"),
    Endpoint("GET", "/api/v1/round", api_state, "manage", gives=RoundState, scope="read"),
    Endpoint("POST", "/api/v1/round", api_close, "manage", gives=RoundState, scope="admin"),
)
