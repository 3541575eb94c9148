"""Who may use a service: by which names it is called, from which pages, and with which token."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scenelet.errors import UsageError, escape_unprintable
from scenelet.server.limits import ServerLimits, error_response, read_body, refuse_request
from scenelet.utils import html as pages

MIN_TOKEN_CHARACTERS = 16  # characters
LOGIN_BYTES = 4096
OPEN = ("http", "GET", "/health")  # a watchdog needs no secret, and need not know the name
COOKIE = "scenelet"
WANTS_TOKEN = "this service wants its token: send the header 'Authorization: Bearer TOKEN', or open its page"  # noqa: S105 - no secret
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; base-uri 'none';"
    " img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'; form-action 'self';"
    " connect-src 'self'"
)
"""The browser itself sees to it that the page talks with nobody else."""


@dataclass(frozen=True)
class AccessPolicy:
    """Whom a service answers.

    Attributes:
        names: by which it may be called, beside `localhost` and addresses in numbers; None: any.
        token: what a request has to bring; None: nothing.
    """

    names: frozenset[str] | None = frozenset()
    token: str | None = None


def access_policy(host: str, allowed: Iterable[str] = (), token: str | None = None) -> AccessPolicy:
    """Whom a service that listens at `host` answers.

    A page's own name can be pointed at this machine (DNS rebinding), and would then be taken for the service's page. So
    a service for this machine alone answers to no name that it was not told; one for all machines answers to any,
    until it is told some.

    Args:
        host: where it listens.
        allowed: names that it may be called by.
        token: what a request has to bring; None: nothing.

    Raises:
        UsageError: a token that can be guessed, or that no header can carry; a name that is none.
    """
    if token is not None and not re.fullmatch(rf"[!-~]{{{MIN_TOKEN_CHARACTERS},}}", token):
        raise UsageError(
            f"the token: give at least {MIN_TOKEN_CHARACTERS} signs, of those that a header can carry: ASCII letters, digits and"
            " punctuation, without spaces"
        )
    names = {name.lower() for name in allowed}
    for name in sorted(names):
        if not re.fullmatch(r"[a-z0-9._-]+", name) and not _is_address(name):
            raise UsageError(
                f"--allow-host {escape_unprintable(name)}: nobody can ask for it by that; give a name alone, as in"
                " --allow-host example.org, without http://, port or path"
            )
    if not names and not _is_local(host):
        return AccessPolicy(None, token)
    return AccessPolicy(frozenset(names | {host.lower()}), token)


class Access:
    """ASGI middleware: refuses requests to another name, from another's page, or without the token."""

    def __init__(self, app: ASGIApp, allowed: AccessPolicy, limits: ServerLimits) -> None:
        self.app, self.names, self.drained = app, allowed.names, limits.max_body
        self._token = None if allowed.token is None else allowed.token.encode()
        # what the browser keeps is not the token itself
        self._pass = hmac.new(self._token or b"", b"scenelet page", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one WebSocket."""
        asked = scope["type"], scope.get("method"), scope.get("path")
        if scope["type"] == "lifespan" or asked == OPEN:
            await self.app(scope, receive, send)
        elif detail := self._misled(scope):
            await refuse_request(error_response(403, detail), scope, receive, send, self.drained)
        elif self._token is None or self._has_token(scope):
            await self.app(scope, receive, send)
        elif asked == ("http", "POST", "/token"):
            sent = await read_body(receive, LOGIN_BYTES, kept=LOGIN_BYTES)
            await self._log_in(sent, scope)(scope, receive, send)
        else:
            await refuse_request(_asks_for_token(scope), scope, receive, send, self.drained)

    def _misled(self, scope: Scope) -> str | None:
        """What is wrong with the name it was called by, or with the page that calls."""
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        name = _name(hosts[0]) if len(hosts) == 1 else ""
        if not name:
            return "the request does not say whom it is for: send one header 'Host'"
        if self.names is not None and name not in self.names and not _is_address(name):
            shown = escape_unprintable(name)[:100]
            return f"this service is not known as {shown}; if it should be, start it with --allow-host {shown}"
        origin = _header(scope, b"origin")
        if origin is not None and _origin(origin.lower()) != hosts[0]:
            return "a page of another address may not use this service"
        return None

    def _has_token(self, scope: Scope) -> bool:
        assert self._token is not None
        kind, _, sent = (_header(scope, b"authorization") or "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), self._token):
            return True
        kept = HTTPConnection(scope).cookies.get(COOKIE)
        return kept is not None and hmac.compare_digest(kept.encode(), self._pass.encode())

    def _log_in(self, sent: bytes, scope: Scope) -> Response:
        """What the page that asks for the token sends, a form, -> a cookie that this page's scripts cannot read."""
        assert self._token is not None
        try:
            given = parse_qs(sent, max_num_fields=4).get(b"token", [b""])[0]
        except ValueError:
            given = b""
        if not hmac.compare_digest(given, self._token):
            return _login_page("That is not the token.")
        answered = RedirectResponse("./", 303)
        secure = scope["scheme"] == "https"
        answered.set_cookie(COOKIE, self._pass, httponly=True, samesite="strict", secure=secure)
        return answered


def _asks_for_token(scope: Scope) -> Response:
    """A page for people, a sentence for programs."""
    if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in (_header(scope, b"accept") or ""):
        return _login_page("")
    return error_response(401, WANTS_TOKEN, {"WWW-Authenticate": "Bearer"})


def _login_page(fault: str) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "WWW-Authenticate": "Bearer"}
    return HTMLResponse(pages.render("scenelet.server", "token.html", fault=fault), 401, headers)


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for known, value in scope["headers"] if known == name), None)


def _name(host: str) -> str:
    """The name in `name:port`; empty where there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _origin(value: str) -> str:
    """`http://name:port` -> `name:port`; empty for a page that has no address."""
    try:
        return urlsplit(value).netloc
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    """Whether a name is one that nobody else can own."""
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    """Whether what listens there is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
