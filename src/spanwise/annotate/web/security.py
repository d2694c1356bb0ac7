"""What every request and answer passes: allowed hosts, same origin, size, headers. Knows nothing of pages and users.

A page of another site cannot write here (Sec-Fetch-Site, else Origin, must be our own), a name that was pointed at this
machine by others is not answered (Host), and no script runs that is not one of our own files (CSP).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LARGEST_BODY = 25 * 1024 * 1024

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """ASGI middleware in front of everything else."""

    app: App
    hosts: frozenset[str]
    """Names that this server answers to, without port."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refused = self._refuse(request)
        if refused is not None:
            await refused(scope, receive, _with_headers(send, request))
            return
        await self.app(scope, _limited(receive), _with_headers(send, request))

    def _refuse(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if _host_name(host) not in self.hosts:
            return problem(400, f"This server does not answer to the name {host!r:.80}.")
        if request.method not in SAFE_METHODS and not same_origin(request):
            return problem(403, "The request comes from another site and is refused.")
        size = request.headers.get("content-length", "0")
        if not size.isdigit() or int(size) > LARGEST_BODY:
            return problem(413, f"The request is larger than {LARGEST_BODY // 2**20} MB; send less at once.")
        return None


def same_origin(request: Request) -> bool:
    """Whether a browser sent this from one of our own pages; programs, which send neither header, may pass."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # a malformed address such as "[::1"
        return ""


def _limited(receive: Receive) -> Receive:
    """Stops reading a body that says nothing of its length and does not end."""
    seen = 0

    async def read() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise TooLargeError
        return message

    return read


class TooLargeError(Exception):
    """The body went on beyond what is allowed."""


def _with_headers(send: Send, request: Request) -> Send:
    static = request.url.path.startswith("/static/")

    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            added = HEADERS if static else HEADERS | {"cache-control": "no-store"}
            present = {name.lower() for name, _ in message["headers"]}
            fresh = [(k.encode(), v.encode()) for k, v in added.items() if k.encode() not in present]
            message = {**message, "headers": [*message["headers"], *fresh]}
        await send(message)

    return answer


def problem(status: int, detail: str, **more: Any) -> JSONResponse:
    """An error as application/problem+json."""
    headers = {"retry-after": str(more["retry_after"])} if more.get("retry_after") else None
    body = {"status": status, "detail": detail, **more}
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


def local_path(target: str, default: str = "/") -> str:
    """`target` where it is a path on this server, else `default`: nobody is sent away by a link that we wrote."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and "\\" not in target
    parts = urlsplit(target) if plain and target.isprintable() else None
    return target if parts and not parts.scheme and not parts.netloc and "//" not in parts.path else default


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The cookie that holds a session's token; under https it is bound to this host.

    Browsers send a host's cookies to all of its ports: each project has a name of its own, so that two on one host do
    not log each other out.
    """

    https: bool
    project_id: str

    @property
    def name(self) -> str:
        return f"{'__Host-' if self.https else ''}spanwise-{self.project_id[-10:].lower()}"

    def read(self, request: Request) -> str | None:
        """The token that came with the request."""
        return request.cookies.get(self.name)

    def write(self, response: Response, token: str) -> None:
        """Hands the token to the browser until the browser is closed or the server ends the session."""
        response.set_cookie(self.name, token, httponly=True, samesite="lax", path="/", secure=self.https)

    def clear(self, response: Response) -> None:
        """Takes it away."""
        response.delete_cookie(self.name, path="/", httponly=True, samesite="lax", secure=self.https)


def page_json(text: str) -> str:
    """JSON text that can stand inside a script element: nothing in it ends the element."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    return "".join(escapes.get(sign, sign) for sign in text)
