"""What a service takes: how large a request, how long a recording, how many clients at once; and the clear refusal."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAIN_SECONDS = 10.0
RETRY_SECONDS = 1


@dataclass(frozen=True)
class Limits:
    """Bounds of a service, each with its answer when it is reached.

    Attributes:
        max_body: bytes of a request; 413.
        max_seconds: of one recording; the recording's own error.
        clients: requests and live streams under way at once; 429.
        max_files: in one request; 400.
    """

    max_body: int = 50_000_000
    max_seconds: float = 600.0
    clients: int = 64
    max_files: int = 100


class Gate:
    """ASGI middleware: counts who is inside, and turns away whom the limits do not allow.

    `under_way` is how many requests with a body and how many live streams there are.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits, self.under_way = app, limits, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one WebSocket."""
        scope["scenelet.gate"] = self
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["method"] != "POST"):
            await self.app(scope, receive, send)
            return
        if self.under_way >= self.limits.clients:
            detail = f"{self.limits.clients} requests are under way, which is this service's limit; try again soon"
            await _refuse(429, detail, scope, receive, send, self.limits.max_body)
            return
        if scope["type"] == "http" and _length(scope) > self.limits.max_body:
            await _refuse(413, self._too_large(), scope, receive, send, 2 * self.limits.max_body)
            return
        self.under_way += 1
        try:
            await self.app(scope, self._counted(receive) if scope["type"] == "http" else receive, send)
        finally:
            self.under_way -= 1

    def _counted(self, receive: Receive) -> Receive:
        """Messages of a body, until it is larger than what is taken: its length need not be in its head, or true."""
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self.limits.max_body:
                raise HTTPException(413, self._too_large())
            return message

        return counted

    def _too_large(self) -> str:
        return f"the request is larger than {self.limits.max_body:,} bytes; send fewer or shorter recordings"


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal, in the form that all of them have: `{"detail": ...}`."""
    return JSONResponse({"detail": detail}, status, dict(headers or {}))


async def _refuse(status: int, detail: str, scope: Scope, receive: Receive, send: Send, drained: int) -> None:
    """Refuse; a body is read first, within bounds: a client that still sends would not see the answer."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 429 else {}
    if scope["type"] == "http" and _length(scope) <= drained:
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await _drain(receive, drained)
        except TimeoutError:
            pass
    if scope["type"] == "websocket":
        await receive()  # the connect message
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1013, "reason": detail})
            return
    # for a WebSocket Starlette's response sends what denies it
    await answer(status, detail, headers)(scope, receive, send)


async def _drain(receive: Receive, at_most: int) -> None:
    got, more = 0, True
    while more and got <= at_most:
        message: dict[str, Any] = dict(await receive())
        got += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)


def _length(scope: Scope) -> int:
    """What the head says of the body's length; 0 where it says nothing."""
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0
