"""How requests reach plain functions: one table of endpoints with who may call them, what they take and give.

A handler is a synchronous function of a `Call`; it runs in a thread, so that a slow one holds up nobody. It answers
with a record, which becomes JSON, or with a `Page`, `Redirect` or Starlette response. Errors become problem+json or a
page of one sentence; a traceback goes to the log alone. Knows nothing of what the endpoints do.
"""

import functools
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from jinja2 import Environment
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from spanwise.annotate.people import Action, Scope, User, may, require
from spanwise.annotate.store import (
    AccessError,
    Database,
    DraftConflictError,
    LeaseError,
    LoginError,
    Project,
    StorageError,
    SubmissionError,
    UnknownError,
)
from spanwise.annotate.web.security import SessionCookie, TooLargeError, local_path, problem
from spanwise.core import SpanwiseError, strict_json

log = logging.getLogger(__name__)

Part = TypeVar("Part")

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

    def route(self, site: Site) -> Route:
        """The Starlette route that calls the handler for `site`."""

        async def answer(request: Request) -> Response:
            try:
                call = await _call(self, site, request)
                return await run_in_threadpool(_answered, self, site, call)
            except TooLargeError:
                return refusal(self, site, request, 413, "The request is too large; send less at once.")
            except HTTPException as error:  # Starlette could not take the form in
                return refusal(self, site, request, error.status_code, f"The form cannot be read: {error.detail}")
            except (SpanwiseError, ValidationError) as error:
                return _refused(self, site, request, error)
            except Exception:
                log.exception("%s %s failed", request.method, self.path)
                return refusal(self, site, request, 500, "Something went wrong on our side; nothing was changed.")
            finally:
                await request.close()  # uploaded files

        return Route(self.path, answer, methods=[self.method], name=f"{self.method} {self.path}")


async def _call(endpoint: Endpoint, site: Site, request: Request) -> Call:
    signed_in = await run_in_threadpool(site.find_user, site, request)
    user, scopes = signed_in or (None, None)
    if endpoint.need != "public":
        _authorise(endpoint, request, user, scopes)
    body, form = None, None
    if endpoint.takes is not None:
        body = endpoint.takes.model_validate(await _json(request))
    elif endpoint.method != "GET" and not endpoint.is_api:
        form = await request.form(max_files=1, max_fields=100, max_part_size=2**20)
    return Call(site, request, user, body, form)


def _authorise(endpoint: Endpoint, request: Request, user: User | None, scopes: tuple[Scope, ...] | None) -> None:
    if user is None:
        raise _NotLoggedInError(request.url.path)
    if scopes is not None and (endpoint.scope is None or not {endpoint.scope, "admin"} & set(scopes)):
        raise AccessError(f"This token does not allow that; it allows {', '.join(scopes) or 'nothing'}.")
    if endpoint.need not in ("user", "public"):
        require(user, endpoint.need)


class _NotLoggedInError(SpanwiseError):
    """Nobody is logged in."""


class RequestError(SpanwiseError):
    """The request itself is wrong, in a way that has an HTTP status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def _json(request: Request) -> Any:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "Send JSON, with the content type application/json.")
    try:
        text = (await request.body()).decode()
        value = strict_json.parse(text)
        if "\\u" in text:  # only escapes can hold half a character
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeError as error:
        raise RequestError(400, "The body is not UTF-8, or holds a lone surrogate; send whole characters.") from error
    except strict_json.BadJSONError as error:
        raise RequestError(400, f"The body is {error}") from error


def _answered(endpoint: Endpoint, site: Site, call: Call) -> Response:
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


def as_json(gives: Any, result: Any) -> Any:
    """The answer in JSON's types."""
    return _adapter(gives).dump_python(result, mode="json") if gives is not None else result


@functools.cache
def _adapter(gives: Any) -> TypeAdapter[Any]:
    """Making one takes longer than most requests."""
    return TypeAdapter(gives)


def render(site: Site, request: Request, user: User | None, page: Page) -> HTMLResponse:
    """A page with what all pages show: the project, the user, what this user may open."""
    shared = {
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
        return refusal(endpoint, site, request, 400, _first(error))
    elif isinstance(error, StorageError):
        log.error("%s %s: %s", request.method, endpoint.path, error)
    elif isinstance(error, LeaseError):
        more = {"reason": error.reason}
    elif isinstance(error, DraftConflictError):
        more = {"current": error.current.model_dump(mode="json")}
    elif isinstance(error, SubmissionError):
        more = {"problems": [body_problem.model_dump(mode="json") for body_problem in error.problems]}
    return refusal(endpoint, site, request, status, str(error), **more)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    field_name = ".".join(map(str, first["loc"])) or "the body"
    return f"{field_name}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."


def to_script(value: Any) -> str:
    """JSON text of what a page's script reads."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
