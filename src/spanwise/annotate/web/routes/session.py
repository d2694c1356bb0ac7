"""Logging in and out: by the printed one-time address, by name and password; also from within a page that is open."""

from typing import Annotated

from pydantic import Field
from starlette.responses import JSONResponse, RedirectResponse, Response

from spanwise.annotate.people import end_all_sessions, end_session, log_in, may, redeem_login, set_password
from spanwise.annotate.store import LoginError
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect
from spanwise.annotate.web.messages import COOKIE, LANGUAGES
from spanwise.annotate.web.routes.work import show_settings
from spanwise.annotate.web.security import local_path
from spanwise.core import DataError
from spanwise.feedback import Record

_YEAR = 31_536_000  # seconds


class LoginRequest(Record):
    """A name with its password."""

    name: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=1000)]


class SessionAnswer(Record):
    """Who is logged in."""

    user_id: str


def home(call: Call) -> Redirect:
    """Where the user's work begins."""
    sees_all = may(call.who.role, "view")
    return Redirect("/overview" if sees_all else "/work")


def show_login(call: Call) -> Page:
    """The form for name and password."""
    return Page("login.html", {"next": local_path(call.query("next", "/")), "name": "", "error": ""})


def log_in_by_password(call: Call) -> Page | Redirect:
    """Begins a session; the name stands in the form again when it failed."""
    name, target = call.field("name"), local_path(call.field("next", "/"))
    try:
        session = log_in(call.database, name, call.field("password"), address=_address(call))
    except LoginError as error:
        if error.retry_after:
            raise
        return Page("login.html", {"next": target, "name": name, "error": str(error)}, status=401)
    return Redirect(target, session=session.token)


def api_log_in(call: Call) -> Response:
    """Begins a session from within a page, whose work goes on."""
    sent: LoginRequest = call.body
    session = log_in(call.database, sent.name, sent.password, address=_address(call))
    response = JSONResponse({"user_id": session.user.id})
    call.site.cookie.write(response, session.token)
    return response


def api_session(call: Call) -> SessionAnswer:
    """Who is logged in."""
    return SessionAnswer(user_id=call.who.id)


def _address(call: Call) -> str:
    client = call.request.client
    return client.host if client else ""


def change_password(call: Call) -> Page | Redirect:
    """Sets the user's own password, which ends all sessions; this browser gets a new one."""
    name, fresh = call.who.name, call.field("fresh")
    try:
        if call.who.has_password:
            log_in(call.database, name, call.field("current"), address=_address(call))
        set_password(call.database, name, fresh, by=call.who)
    except LoginError as error:
        if error.retry_after:
            raise
        return show_settings(call, error="The password so far is another one; nothing was changed.")
    except DataError as error:
        return show_settings(call, error=str(error))
    session = log_in(call.database, name, fresh, address=_address(call))
    return Redirect("/settings?changed=yes", session=session.token)


def choose_language(call: Call) -> Response:
    """Keeps the language that somebody chose in this browser; the browser's own where none is named."""
    response = RedirectResponse("/settings", status_code=303)
    language = call.field("language")
    if language in LANGUAGES:
        secure = call.site.cookie.https
        response.set_cookie(COOKIE, language, max_age=_YEAR, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(COOKIE)
    return response


def show_once(call: Call) -> Page:
    """The page behind the one-time address; it redeems the key by a form, because looking must change nothing."""
    return Page("once.html", {"key": call.query("key")})


def log_in_once(call: Call) -> Redirect:
    """Spends the key of a one-time address."""
    return Redirect("/", session=redeem_login(call.database, call.field("key")).token)


def log_out(call: Call) -> Redirect:
    """Ends this session, or all of the user's."""
    if call.field("everywhere"):
        end_all_sessions(call.database, call.who)
    token = call.site.cookie.read(call.request)
    if token:
        end_session(call.database, token)
    return Redirect("/login", logout=True)


ENDPOINTS = (
    Endpoint("GET", "/", home, "user"),
    Endpoint("GET", "/login", show_login, "public"),
    Endpoint("POST", "/login", log_in_by_password, "public"),
    Endpoint("GET", "/login/once", show_once, "public"),
    Endpoint("POST", "/login/once", log_in_once, "public"),
    Endpoint("POST", "/logout", log_out, "user"),
    Endpoint("POST", "/settings/password", change_password, "user"),
    Endpoint("POST", "/settings/language", choose_language, "user"),
    Endpoint("POST", "/api/v1/session", api_log_in, "public", takes=LoginRequest, gives=SessionAnswer),
    Endpoint("GET", "/api/v1/session", api_session, "user", gives=SessionAnswer),
)
