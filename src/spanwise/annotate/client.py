"""The annotation server's JSON API for programs: every operation of its description, by name.

Needs nothing but Python. What was not answered or was refused for the moment is asked again where that does no harm:
reading does none, nor does a submission, which the server knows again by its id.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from spanwise.core import ConfigError, SpanwiseError, write_text

_ITEM, _RUN = "/api/v1/items/{item_id}", "/api/v1/runs/{run_id}"
OPERATIONS: dict[str, tuple[str, str]] = {
    "claim": ("POST", "/api/v1/claims"), "draft": ("PUT", f"{_ITEM}/draft"), "renew": ("POST", f"{_ITEM}/lease"),
    "release": ("DELETE", f"{_ITEM}/lease"), "skip": ("POST", f"{_ITEM}/skip"),
    "submit": ("POST", f"{_ITEM}/submissions"), "my_work": ("GET", "/api/v1/work"),
    "reopen": ("POST", "/api/v1/annotations/{annotation_id}/reopen"),
    "progress": ("GET", "/api/v1/progress"), "agreement": ("GET", "/api/v1/agreement"),
    "items": ("GET", "/api/v1/items"), "item": ("GET", _ITEM), "expire": ("POST", f"{_ITEM}/expire"),
    "overlap": ("PUT", f"{_ITEM}/overlap"), "assign": ("POST", "/api/v1/assignments"),
    "changes": ("GET", "/api/v1/changes"), "change": ("POST", "/api/v1/changes"),
    "undo_change": ("DELETE", "/api/v1/changes/{change_id}"), "groups": ("PUT", "/api/v1/users/{name}/groups"),
    "events": ("GET", "/api/v1/events"), "questions": ("GET", "/api/v1/questions"),
    "ask": ("POST", f"{_ITEM}/questions"), "reply": ("POST", "/api/v1/questions/{thread_id}/answers"),
    "settle": ("PUT", "/api/v1/questions/{thread_id}/state"), "reliability": ("GET", "/api/v1/reliability"),
    "uptake": ("GET", "/api/v1/suggestions/uptake"), "make_gold": ("PUT", f"{_ITEM}/gold"),
    "drop_gold": ("DELETE", f"{_ITEM}/gold"), "queue": ("GET", "/api/v1/adjudication"),
    "verdict_draft": ("PUT", f"{_ITEM}/verdict/draft"), "verdict": ("POST", f"{_ITEM}/verdict"),
    "download": ("GET", "/api/v1/export"), "state": ("GET", "/api/v1/round"), "close": ("POST", "/api/v1/round"),
    "runs": ("GET", "/api/v1/runs"), "curves": ("GET", f"{_RUN}/curves"), "samples": ("GET", f"{_RUN}/samples"),
    "sample": ("GET", f"{_RUN}/samples/{{index}}"), "metrics": ("GET", "/api/v1/metrics"),
}  # fmt: skip
"""Method and address by operation, as the server's description names them: those that take a token."""
_TWICE = frozenset({"submit", "verdict"})
_TRIES, _PAUSE_S = 4, 1.0


class ApiError(SpanwiseError, RuntimeError):
    """The server refused, or did not answer: `status` is that of HTTP, 0 without any answer; `body` its JSON."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("detail") or f"The annotation server answered {status}.")
        self.status, self.body = status, body


class AnnotationClient:
    """Asks one server in the name of one API token."""

    def __init__(self, address: str, token: str, *, timeout_s: float = 30.0) -> None:
        if not address.startswith(("http://", "https://")):
            raise ConfigError(f"{address!r:.60} is no address of a server; write http://127.0.0.1:8000, for example.")
        self.address, self.timeout_s = address.rstrip("/"), timeout_s
        self._headers = {"authorization": f"Bearer {token}"}

    def call(self, operation: str, body: dict[str, Any] | None = None, /, **values: Any) -> Any:
        """The answer to an operation: JSON as Python values, None where there is none, else bytes.

        `values` fill the places of the address (`item_id`), the others become query parameters. Raises ApiError.
        """
        if operation not in OPERATIONS:
            raise ConfigError(f"No operation is called {operation!r:.40}; choose one of {', '.join(OPERATIONS)}.")
        method, path = OPERATIONS[operation]
        places = {name: value for name, value in values.items() if f"{{{name}}}" in path}
        query = urllib.parse.urlencode({name: value for name, value in values.items() if name not in places})
        path = path.format(**{name: urllib.parse.quote(str(value), safe="") for name, value in places.items()})
        address = f"{self.address}{path}{'?' if query else ''}{query}"
        for attempt in range(1, _TRIES + 1):
            try:
                return self._answer(method, address, body if body is not None or method in ("GET", "DELETE") else {})
            except ApiError as error:
                lost = error.status in (0, 503)
                if not lost or attempt == _TRIES or not (method == "GET" or operation in _TWICE):
                    raise
                time.sleep(_PAUSE_S * attempt)
        raise AssertionError("the last try returns or raises")

    def items(self, **conditions: Any) -> dict[str, Any]:
        """A page of items, by `state`, `q`, `round`, `purpose`, `batch`, `annotator`, `assigned`, `asked`, `offset`."""
        return self.call("items", **conditions)

    def claim(self, item_id: str | None = None) -> dict[str, Any]:
        """The next item with its lease, or that one; where there is none `claim` is None, and `nothing` says why."""
        return self.call("claim", {"item_id": item_id})

    def submit(self, claim: dict[str, Any], body: dict[str, Any], *, active_ms: int = 0) -> dict[str, Any]:
        """Submits what is said of an item, whose lease is `claim` of the answer to `claim`; counts once."""
        lease = {name: claim[name] for name in ("round", "lease_token")}
        sent = lease | {"client_submission_id": str(uuid.uuid4()), "active_ms": active_ms, "body": body}
        return self.call("submit", sent, item_id=claim["item_id"])

    def export(self, path: Path, form: str = "spanwise", **options: Any) -> Path:
        """Writes the annotations to a file, whole or not at all; options are `since`, `extra`, `anonymise` ("yes")."""
        answer = self.call("download", format=form, **options)
        write_text(path, (answer if isinstance(answer, bytes) else json.dumps(answer).encode()).decode())
        return path

    def _answer(self, method: str, address: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if data is None else {"content-type": "application/json"})
        try:
            request = urllib.request.Request(address, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:
                raw, kind = reply.read(), reply.headers.get_content_type()
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, _problem(error.read())) from error
        except OSError as error:
            raise ApiError(0, {"detail": f"{self.address} cannot be reached ({error}); see that it runs."}) from error
        if kind != "application/json":
            return raw or None
        return json.loads(raw)


def _problem(raw: bytes) -> dict[str, Any]:
    try:
        said = json.loads(raw)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
