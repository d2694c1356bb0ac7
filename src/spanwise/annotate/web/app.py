"""Joins the annotation app: endpoints, templates, static files and the guard in front of them. Knows no single page.

Templates show characters that hide or turn text as signs (`visible`).
"""

import hashlib
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from spanwise.annotate.people import Scope, User, find_session, find_token
from spanwise.annotate.rounds import RunIndex
from spanwise.annotate.store import Database, Project
from spanwise.annotate.web.bodies import to_script
from spanwise.annotate.web.endpoints import Site, refusal
from spanwise.annotate.web.routes import ENDPOINTS
from spanwise.annotate.web.security import LOOPBACK, Guard, SessionCookie, page_json

_SIGNS = {
    "\u202a": "⇢", "\u202b": "⇠", "\u202c": "⇥", "\u202d": "⇢", "\u202e": "⇠", "\u2066": "⇢", "\u2067": "⇠",
    "\u2068": "⇢", "\u2069": "⇥", "\u200b": "¦", "\ufeff": "¦", "\u2028": "↵", "\u2029": "↵", "\u0085": "↵",
    "\u00ad": "¬",
}  # fmt: skip
_HIDDEN = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u2028-\u202e\u2066-\u2069\ufeff]")
STATIC = Path(__file__).parents[1] / "static"
PATIENCE = 3.0
"""Seconds that a request waits for the database before the page is told to ask again."""
log = logging.getLogger(__name__)


def visible(text: object) -> str:
    """The text with one sign for each such character."""
    return _HIDDEN.sub(lambda match: _sign(match[0]), str(text))


def create_app(
    database: Database,
    project: Project,
    *,
    hosts: Iterable[str] = (),
    https: bool = False,
    runs: Path | None = None,
    parts: Iterable[Any] = (),
) -> Starlette:
    """The app for one project.

    `hosts` are the names that the server answers to beside those of this machine; `https` says that browsers reach it
    by https only; `runs` is a folder with run folders to show; `parts` are further objects that endpoints ask for by
    their type.
    """
    build = _build()
    database.patience = min(database.patience, PATIENCE)
    site = Site(
        database=database,
        project=project,
        templates=_templates(build),
        cookie=SessionCookie(https, project.id),
        build=build,
        parts={type(part): part for part in (RunIndex(runs), *parts)},
        find_user=_find_user,
    )

    def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        says = {404: "There is nothing at this address.", 405: "This address does not answer to that method."}
        return refusal(None, site, request, status, says.get(status, "The request could not be answered."))

    static = Mount(f"/static/{build}", _CachedFiles(directory=STATIC, follow_symlink=False), name="static")
    app = Starlette(
        routes=[static, *(endpoint.route(site) for endpoint in ENDPOINTS)],
        middleware=[Middleware(Guard, hosts=frozenset(name.lower() for name in (*LOOPBACK, *hosts)))],
        exception_handlers={HTTPException: failed},
    )
    app.state.site = site
    return app


def _sign(character: str) -> str:
    control = chr(0x2400 + ord(character)) if ord(character) < 0x20 else "␡"
    return _SIGNS.get(character, control)


class _CachedFiles(StaticFiles):
    """Files whose address changes with their content, so that browsers may keep them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def _build() -> str:
    """A hash of all static files."""
    whole = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        whole.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def _templates(build: str) -> Environment:
    templates = Environment(
        loader=PackageLoader("spanwise.annotate.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(static=lambda name: f"/static/{build}/{name}")  # type: ignore[reportUnknownLambdaType]
    templates.filters["page_json"] = lambda value: Markup(page_json(to_script(value)))
    templates.filters["visible"] = visible
    return templates


def _find_user(site: Site, request: Request) -> tuple[User, tuple[Scope, ...] | None] | None:
    """Who asks: by a token in the header (then what it allows), or by the session's cookie."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return find_token(site.database, secret.strip())
    token = site.cookie.read(request)
    user = find_session(site.database, token) if token else None
    return (user, None) if user else None
