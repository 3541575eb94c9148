"""Access policy: allowed host names, allowed origins, and the token."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scenelet.errors import UsageError, escape_unprintable
from scenelet.server.limits import (
    MAX_HEADER_BYTES,
    ServerLimits,
    error_response,
    header_bytes,
    read_body,
    refuse_request,
)
from scenelet.utils import html as pages

MIN_TOKEN_CHARACTERS = 16
MAX_LOGIN_BYTES = 4096
MAX_HOST_CHARACTERS = 100  # of a host name that an error quotes
HEALTH_CHECK = ("http", "GET", "/health")  # monitoring needs neither the token nor the host name
COOKIE_NAME = "scenelet-{port}"  # a browser sends cookies to all ports of a host
TOKEN_REQUIRED = "this service requires a token; send the header 'Authorization: Bearer TOKEN', or open its page"  # noqa: S105 - no secret
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; base-uri 'none';"
    " img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'; form-action 'self';"
    " connect-src 'self'"
)
"""Header with which the browser keeps a page from contacting other servers and from being framed."""
SECURITY_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True)
class AccessPolicy:
    """Conditions that a request must meet.

    Attributes:
        host_names: allowed in the Host header, in addition to `localhost` and IP addresses; None allows any.
        token: secret that every request except the health check must send; None requires nothing.
    """

    host_names: frozenset[str] | None = frozenset()
    token: str | None = None


def make_access_policy(
    host: str, addresses: Iterable[str], allowed_hosts: Iterable[str] = (), token: str | None = None
) -> AccessPolicy:
    """Choose the access policy for a service that listens on `host`.

    An attacker can point a domain at this machine (DNS rebinding), so that a browser takes the attacker's page for the
    service's own. A service on a loopback address therefore accepts only host names that it was given. A service that
    other machines can reach accepts any name unless `allowed_hosts` lists some.

    Args:
        host: name or address that the service was told to listen on.
        addresses: IP addresses that `host` stands for.
        allowed_hosts: host names by which clients may address it.
        token: secret that requests must send; None requires nothing.

    Raises:
        UsageError: the token is too short or not printable ASCII; an invalid host name.

    Examples:
        >>> sorted(make_access_policy("localhost", ["127.0.0.1", "::1"], ["Example.org"]).host_names)
        ['example.org', 'localhost']
        >>> make_access_policy("0.0.0.0", ["0.0.0.0"]).host_names is None
        True
    """
    if token is not None and not re.fullmatch(rf"[!-~]{{{MIN_TOKEN_CHARACTERS},}}", token):
        raise UsageError(
            f"the token is empty, too short or not printable ASCII; use at least {MIN_TOKEN_CHARACTERS} ASCII letters,"
            " digits and punctuation marks, without spaces"
        )
    host_names = {name.lower() for name in allowed_hosts}
    for name in sorted(host_names):
        if not re.fullmatch(r"[a-z0-9._-]+", name) and not _is_address(name):
            raise UsageError(
                f"--allow-host {escape_unprintable(name)}: not a host name; give the name only, e.g."
                " --allow-host example.org, without http://, port or path"
            )
    if not host_names and not any(map(_is_loopback, addresses)):
        return AccessPolicy(None, token)
    return AccessPolicy(frozenset(host_names | {host.lower()}), token)


class AccessControl:
    """ASGI middleware that refuses unknown host names, pages of other origins, and requests without the token."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy, limits: ServerLimits) -> None:
        self.app, self.host_names, self.drain_bytes = app, policy.host_names, limits.max_body_bytes
        self._token = None if policy.token is None else policy.token.encode()
        # the browser stores a value that is derived from the token, not the token itself
        self._cookie = hmac.new(self._token or b"", b"scenelet page", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on or refuse one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        send = _with_security_headers(send)
        target = scope["type"], scope.get("method"), scope.get("path")
        if header_bytes(scope) > MAX_HEADER_BYTES:
            refusal = error_response(431, f"the request's header is larger than {MAX_HEADER_BYTES:,} bytes; send less")
            await refuse_request(refusal, scope, receive, send, self.drain_bytes)
        elif target == HEALTH_CHECK:
            await self.app(scope, receive, send)
        elif detail := self._find_host_error(scope):
            await refuse_request(error_response(403, detail), scope, receive, send, self.drain_bytes)
        elif self._token is None or self._has_token(scope):
            await self.app(scope, receive, send)
        elif target == ("http", "POST", "/token"):
            body = await read_body(receive, MAX_LOGIN_BYTES, keep_bytes=MAX_LOGIN_BYTES)
            await self._log_in(body, scope)(scope, receive, send)
        else:
            await refuse_request(_token_required(scope), scope, receive, send, self.drain_bytes)

    def _find_host_error(self, scope: Scope) -> str | None:
        """Check the Host and Origin headers; return what is wrong, or None."""
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        name = _host_name(hosts[0]) if len(hosts) == 1 else ""
        if not name:
            return "the request has no valid Host header; send exactly one"
        if self.host_names is not None and name not in self.host_names and not _is_address(name):
            shown = escape_unprintable(name)[:MAX_HOST_CHARACTERS]
            return f"unknown host name {shown}; to allow it, start the service with --allow-host {shown}"
        origin = _header(scope, b"origin")
        if origin is not None and _origin_host(origin.lower()) != hosts[0]:
            return "pages of another origin may not use this service; open its own page"
        return None

    def _has_token(self, scope: Scope) -> bool:
        assert self._token is not None
        scheme, _, token = (_header(scope, b"authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token):
            return True
        cookie = HTTPConnection(scope).cookies.get(_cookie_name(scope))
        return cookie is not None and hmac.compare_digest(cookie.encode(), self._cookie.encode())

    def _log_in(self, body: bytes, scope: Scope) -> Response:
        """Answer the login form: set a cookie that the page's scripts cannot read, or show the form again."""
        assert self._token is not None
        try:
            token = parse_qs(body, max_num_fields=4).get(b"token", [b""])[0]
        except ValueError:
            token = b""
        if not hmac.compare_digest(token, self._token):
            return _login_page("Wrong token.")
        response = RedirectResponse("./", 303)
        secure = scope["scheme"] == "https"
        response.set_cookie(_cookie_name(scope), self._cookie, httponly=True, samesite="strict", secure=secure)
        return response


def _with_security_headers(send: Send) -> Send:
    """Return a `send` that adds the security headers to each response."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            message = {**message, "headers": [*message.get("headers", ()), *SECURITY_HEADERS]}
        await send(message)

    return send_with_headers


def _cookie_name(scope: Scope) -> str:
    """Return a name that differs between the services of one host."""
    return COOKIE_NAME.format(port=(scope.get("server") or ("", 0))[1])


def _token_required(scope: Scope) -> Response:
    """Ask for the token: with the login page in a browser, with JSON elsewhere."""
    if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in (_header(scope, b"accept") or ""):
        return _login_page("")
    return error_response(401, TOKEN_REQUIRED, {"WWW-Authenticate": "Bearer"})


def _login_page(error: str) -> Response:
    headers = {"Cache-Control": "no-store", "WWW-Authenticate": "Bearer"}
    return HTMLResponse(pages.render("scenelet.server", "token.html", error=error), 401, headers)


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for known, value in scope["headers"] if known == name), None)


def _host_name(host: str) -> str:
    """Return the name in `name:port`, or an empty text."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _origin_host(origin: str) -> str:
    """Return `name:port` of `http://name:port`, or an empty text for a page without an address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    """Tell whether a host name is `localhost` or an IP address, which no attacker can register."""
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach a service that listens on an IP address.

    An IPv6 address may have a zone (`::1%lo`), or stand for an IPv4 address (`::ffff:127.0.0.1`).
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback
