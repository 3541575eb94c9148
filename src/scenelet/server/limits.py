"""What a service takes: how large a request, how long its sound, how many clients, how slow; and the refusal."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

DRAIN_SECONDS = 10.0
RETRY_SECONDS = 1
MAX_BODIES = 4  # largest bodies whose bytes may be in memory at once


@dataclass(frozen=True)
class ServerLimits:
    """Bounds of a service, each with its answer when it is reached.

    Attributes:
        max_body: bytes of a request; 413.
        max_seconds: of one recording, and of all recordings of a request together; the recording's own error.
        max_clients: requests and live streams under way at once; 429.
        max_files: in one request; 400.
        client_timeout_seconds: seconds that a client may keep the service waiting; 408, and on a WebSocket a message.
    """

    max_body: int = 50_000_000
    max_seconds: float = 600.0
    max_clients: int = 64
    max_files: int = 100
    client_timeout_seconds: float = 30.0

    @property
    def max_held(self) -> int:
        """Bytes of all bodies under way; 429."""
        return MAX_BODIES * self.max_body


def error_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal, in the form that all of them have: `{"detail": ...}`."""
    return JSONResponse({"detail": detail}, status, dict(headers or {}))


async def refuse_request(refusal: Response, scope: Scope, receive: Receive, send: Send, drained: int) -> None:
    """Refuse; a body of so many bytes at most is read first: a client that still sends would not see the answer."""
    if scope["type"] == "http" and content_length(scope) <= drained:
        await read_body(receive, drained)
    elif scope["type"] == "websocket":
        await receive()  # the connect message; Starlette's response then sends what denies it
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1013})
            return
    await refusal(scope, receive, send)


async def read_body(receive: Receive, at_most: int, kept: int = 0) -> bytes:
    """Read a body, or as much of it as comes within bounds of bytes and time; gives the first `kept` bytes."""
    start, got, more = b"", 0, True
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while more and got <= at_most:
                message = await receive()
                body = message.get("body", b"")
                got += len(body)
                start += body[: kept - len(start)]
                more = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        pass
    return start


def content_length(scope: Scope) -> int:
    """What the head says of the body's length; 0 where it says nothing."""
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0
