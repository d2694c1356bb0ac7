"""How requests reach plain functions: one table of endpoints with who may call them, what they take and give.

A handler is a synchronous function of a `Call`; it runs in a thread, so that a slow one holds up nobody, and handlers
that write wait for each other in threads of their own, so that they hold up no reader. Whoever is at work has an
answer within seconds, if only that the server is busy. A handler answers with a record, which becomes JSON, or with a
`Page`, `Redirect` or Starlette response. Errors become problem+json or a page of one sentence; a traceback goes to the
log alone. Knows nothing of what the endpoints do.
"""

import errno
import functools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from jinja2 import Environment
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from spanwise.annotate.people import Action, Scope, User, may, require
from spanwise.annotate.store import (
    AccessError,
    BusyError,
    DamageError,
    Database,
    DraftConflictError,
    LeaseError,
    LoginError,
    Project,
    StorageError,
    SubmissionError,
    UnknownError,
)
from spanwise.annotate.web.bodies import RequestError, as_json, first_problem, read_json
from spanwise.annotate.web.messages import direction_of, language_of, translate
from spanwise.annotate.web.security import SessionCookie, TooLargeError, local_path, problem
from spanwise.annotate.web.watch import Watch
from spanwise.core import SpanwiseError

log = logging.getLogger(__name__)
LARGEST_JSON = 8 * 1024 * 1024
"""A draft of the most characters that are kept, written in UTF-8; larger bodies are files, which come as forms."""
READERS, WRITERS = 24, 40
"""How many requests of each kind are at work at once; the others wait."""
_AT_ONCE = 65_536
RETRY_AFTER = 2
ANSWER_SECONDS = 3.5
"""How long somebody at work waits before the page is told to ask again."""
_OURS = "Something went wrong on our side; nothing was changed."
_LATE = "The server is busy and did not get to this in time; try again in a moment."
_WHO = "spanwise.user"
_Known = tuple[User | None]  # who asks, where anybody is logged in

Part = TypeVar("Part")
Found = TypeVar("Found")

Need = Action | Literal["public", "user"]
"""What a caller must be allowed: an action, to be logged in, or nothing."""


@dataclass(frozen=True)
class Page:
    """A template, what it shows, and what its script reads."""

    template: str
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    data: Any = None
    status: int = 200


@dataclass(frozen=True)
class Redirect:
    """Go on there."""

    path: str
    session: str | None = None
    """A new session's token, for the cookie."""
    logout: bool = False


@dataclass(frozen=True)
class Site:
    """What all handlers share."""

    database: Database
    project: Project
    templates: Environment
    cookie: SessionCookie
    build: str
    """Changes with every change of our static files."""
    parts: dict[type, Any]
    """What only some handlers need, by its type: run folders, the next round's steps."""
    find_user: Callable[["Site", Request], tuple[User, tuple[Scope, ...] | None] | None]
    readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(READERS))
    watch: Watch = field(default_factory=Watch)
    writers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(WRITERS))

    def part(self, kind: type[Part]) -> Part:
        """The part of that type."""
        return self.parts[kind]


@dataclass(frozen=True)
class Call:
    """One request: who asks for what."""

    site: Site
    request: Request
    user: User | None
    body: Any = None
    """The parsed JSON body of the type that the endpoint takes."""
    form: FormData | None = None

    @property
    def database(self) -> Database:
        return self.site.database

    @property
    def project(self) -> Project:
        return self.site.project

    @property
    def who(self) -> User:
        """The user; only for endpoints that are not public."""
        assert self.user is not None
        return self.user

    def path(self, name: str) -> str:
        """A part of the address."""
        return self.request.path_params[name]

    def query(self, name: str, default: str = "") -> str:
        """A query parameter as text."""
        return self.request.query_params.get(name, default)

    def number(self, name: str, default: int, *, most: int = 10**9) -> int:
        """A query parameter as a number from 0 to `most`; the default where it is none."""
        text = self.query(name)
        return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 12 else default

    def field(self, name: str, default: str = "") -> str:
        """A field of a posted form as text."""
        value = self.form.get(name, default) if self.form is not None else default
        return value if isinstance(value, str) else default


@dataclass(frozen=True)
class Endpoint:
    """One address and method."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handle: Callable[[Call], Any]
    need: Need
    takes: type[BaseModel] | None = None
    """The model of the JSON body."""
    gives: Any = None
    """The type of the JSON answer."""
    scope: Scope | None = None
    """What an API token must allow; None where tokens do not work."""
    status: int = 200

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")

    @property
    def is_prompt(self) -> bool:
        """Whether somebody at work waits for the answer, and does no harm by asking again."""
        if self.need in ("annotate", "public"):
            return self.is_api or self.method == "GET"
        return self.scope == "annotate" or (self.need == "adjudicate" and self.takes is not None)

    def route(self, site: Site) -> Route:
        """The Starlette route that calls the handler for `site`."""

        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            response = await _answer(_Asked(self, site, request))
            seconds, user_id = time.perf_counter() - began, request.scope.get(_WHO)
            site.watch.note(self.method, self.path, response.status_code, seconds, user_id)
            return response

        return Route(self.path, answer, methods=[self.method], name=f"{self.method} {self.path}")


async def _answer(asked: "_Asked") -> Response:
    """The handler's answer, or what became of an error."""
    endpoint, site, request = asked.endpoint, asked.site, asked.request
    try:
        return await _handled(asked)
    except TooLargeError:
        return refusal(endpoint, site, request, 413, "The request is too large; send less at once.")
    except HTTPException as error:  # Starlette could not take the form in
        return refusal(endpoint, site, request, error.status_code, f"The form cannot be read: {error.detail}")
    except (SpanwiseError, ValidationError) as error:
        return _refused(endpoint, site, request, error)
    except OSError as error:
        return _failed(endpoint, site, request, error)
    except Exception:
        log.exception("%s %s failed", request.method, endpoint.path)
        return refusal(endpoint, site, request, 500, _OURS)
    finally:
        await request.close()  # uploaded files


def _failed(endpoint: Endpoint, site: Site, request: Request, error: OSError) -> Response:
    """What the system refused beside the database: mostly room for an uploaded file."""
    log.exception("%s %s failed", request.method, endpoint.path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        said = "The server's disk is full, and nothing of this was stored; make room, then try again."
        return refusal(endpoint, site, request, 507, said)
    return refusal(endpoint, site, request, 500, _OURS)


@dataclass(frozen=True)
class _Asked:
    """A request, and whose it is to answer."""

    endpoint: Endpoint
    site: Site
    request: Request


async def _handled(asked: _Asked) -> Response:
    """Takes the body in and does all the rest in one thread; forms and large bodies only of those who may send them."""
    endpoint, request = asked.endpoint, asked.request
    size = int(request.headers.get("content-length", "0"))
    known: _Known | None = None
    if endpoint.takes is None and endpoint.method != "GET" and not endpoint.is_api:
        known = await _in_thread(asked, _known)
        form = await request.form(max_files=1, max_fields=100, max_part_size=2**20)
        return await _in_thread(asked, _answered, known, form, b"")
    if endpoint.takes is not None and size > LARGEST_JSON:
        raise TooLargeError
    if size > _AT_ONCE:
        known = await _in_thread(asked, _known)
    raw = await request.body() if endpoint.takes is not None else b""
    if len(raw) > LARGEST_JSON:
        raise TooLargeError
    return await _in_thread(asked, _answered, known, None, raw)


async def _in_thread(asked: _Asked, work: Callable[..., Found], *given: Any) -> Found:
    """What `work` returns; BusyError where somebody waits for it too long, while it goes on unheard."""
    endpoint = asked.endpoint
    limiter = asked.site.readers if endpoint.method == "GET" else asked.site.writers
    if not endpoint.is_prompt:
        return await anyio.to_thread.run_sync(work, asked, *given, limiter=limiter)
    with anyio.move_on_after(ANSWER_SECONDS):
        return await anyio.to_thread.run_sync(work, asked, *given, limiter=limiter, abandon_on_cancel=True)
    raise BusyError(_LATE)


def _known(asked: _Asked) -> _Known:
    user, scopes = asked.site.find_user(asked.site, asked.request) or (None, None)
    asked.request.scope[_WHO] = user.id if user else None
    if asked.endpoint.need != "public":
        _authorise(asked.endpoint, asked.request, user, scopes)
    return (user,)


def _authorise(endpoint: Endpoint, request: Request, user: User | None, scopes: tuple[Scope, ...] | None) -> None:
    if user is None:
        raise _NotLoggedInError(request.url.path)
    if scopes is not None and (endpoint.scope is None or not {endpoint.scope, "admin"} & set(scopes)):
        raise AccessError(f"This token does not allow that; it allows {', '.join(scopes) or 'nothing'}.")
    if endpoint.need not in ("user", "public"):
        require(user, endpoint.need)


class _NotLoggedInError(SpanwiseError):
    """Nobody is logged in."""


def _answered(asked: _Asked, known: _Known | None, form: FormData | None, raw: bytes) -> Response:
    known = known or _known(asked)
    endpoint, site, request = asked.endpoint, asked.site, asked.request
    body = endpoint.takes.model_validate(read_json(request, raw)) if endpoint.takes is not None else None
    call = Call(site, request, known[0], body, form)
    return _response(endpoint, site, call, endpoint.handle(call))


def _response(endpoint: Endpoint, site: Site, call: Call, result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, Redirect):
        response = RedirectResponse(local_path(result.path), status_code=303)
        if result.session:
            site.cookie.write(response, result.session)
        if result.logout:
            site.cookie.clear(response)
        return response
    if isinstance(result, Page):
        return render(site, call.request, call.user, result)
    if result is None:
        return Response(status_code=204)
    return JSONResponse(as_json(endpoint.gives, result), status_code=endpoint.status)


def render(site: Site, request: Request, user: User | None, page: Page) -> HTMLResponse:
    """A page with what all pages show: the project, the user, what this user may open."""
    language = language_of(request)
    shared = {
        "t": functools.partial(translate, language),
        "language": language,
        "direction": direction_of(language),
        "project": site.project,
        "user": user,
        "may": functools.partial(_allowed, user),
        "here": request.url.path,
        "build": site.build,
        "page_data": page.data,
    }
    html = site.templates.get_template(page.template).render(shared | page.context)
    return HTMLResponse(html, status_code=page.status)


def _allowed(user: User | None, action: Action) -> bool:
    return user is not None and may(user.role, action)


def refusal(endpoint: Endpoint | None, site: Site, request: Request, status: int, detail: str, **more: Any) -> Response:
    """An error as problem+json for programs, as a page for people."""
    if endpoint.is_api if endpoint else request.url.path.startswith("/api/"):
        return problem(status, detail, **more)
    page = Page("error.html", {"detail": detail, "status": status}, status=status)
    response = render(site, request, None, page)
    if more.get("retry_after"):
        response.headers["retry-after"] = str(more["retry_after"])
    return response


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownError, 404),
    (AccessError, 403),
    (LeaseError, 409),
    (DraftConflictError, 409),
    (SubmissionError, 422),
    (StorageError, 507),
    (BusyError, 503),
    (DamageError, 500),
)


def _refused(endpoint: Endpoint, site: Site, request: Request, error: Exception) -> Response:
    if isinstance(error, _NotLoggedInError):
        if endpoint.is_api:
            return problem(401, "Log in first.")
        return RedirectResponse(f"/login?next={request.url.path}", status_code=303)
    more: Mapping[str, Any] = {}
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 400)
    if isinstance(error, RequestError):
        status = error.status
    elif isinstance(error, LoginError):
        status, more = (429, {"retry_after": error.retry_after}) if error.retry_after else (401, {})
    elif isinstance(error, ValidationError):
        return refusal(endpoint, site, request, 400, first_problem(error))
    elif isinstance(error, (StorageError, DamageError, BusyError)):
        log.error("%s %s: %s", request.method, endpoint.path, error)
        more = {"retry_after": RETRY_AFTER} if isinstance(error, BusyError) else {}
    elif isinstance(error, LeaseError):
        more = {"reason": error.reason}
    elif isinstance(error, DraftConflictError):
        more = {"current": error.current.model_dump(mode="json")}
    elif isinstance(error, SubmissionError):
        more = {"problems": [body_problem.model_dump(mode="json") for body_problem in error.problems]}
    return refusal(endpoint, site, request, status, str(error), **more)
