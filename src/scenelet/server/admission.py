"""The gate: counts who is inside, turns away whom the limits do not allow, and sends away who keeps others waiting."""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scenelet.errors import UsageError
from scenelet.server.limits import RETRY_SECONDS, ServerLimits, content_length, error_response, refuse_request

BODY_RATE = 20_000.0  # bytes a second that a request's body comes at, or its client is slow
STREAM_RATE = 1_000.0  # of a live stream: half of what its slowest format takes
FULL_TIMEOUT_SECONDS = 5.0  # seconds of it, when others wait for a place
AGAIN = {"Retry-After": str(RETRY_SECONDS)}


class TrackedRequest:
    """A request or a live stream, and for how long its client has kept the service waiting.

    Args:
        receive: where its messages come from.
        patience: seconds that it may be behind.
        rate: bytes that make up for a second of waiting.
        late: the exception for one who is behind by more.
    """

    def __init__(self, receive: Receive, client_timeout: float, rate: float, late: Callable[[str], Exception]) -> None:
        self._receive, self._patience, self._rate, self._late = receive, client_timeout, rate, late
        self._behind = 0.0
        self._waiting: asyncio.Timeout | None = None
        self._since = 0.0
        self._whole = self._sent_away = False
        self.held = 0
        """Bytes of its body that are in memory."""

    @property
    def keeps_waiting(self) -> bool:
        """Whether the service waits for it now."""
        return self._waiting is not None

    @property
    def behind(self) -> float:
        """Seconds; 0 while it is the client who waits."""
        if self._waiting is None:
            return 0.0
        return self._behind + asyncio.get_running_loop().time() - self._since

    async def receive(self) -> Message:
        """Its next message.

        Raises:
            Exception: what `late` makes, where the client is too slow, or was sent away.
        """
        if self._whole:  # the service only asks whether the client has gone
            return await self._receive()
        clock = asyncio.get_running_loop()
        self._since = clock.time()
        message = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience - self._behind) as self._waiting:
                    message = await self._receive()
        finally:
            self._behind += clock.time() - self._since
            self._waiting = None
        if message is None or self._sent_away:  # what came in the same moment is too late: the place is another's
            raise self._late(f"nothing, or too little, came for {self._behind:.0f} s; send faster, or again")
        if message["type"].startswith("http.") and not message.get("more_body", False):
            self._whole, self._behind = True, 0.0
            return message
        brought = len(message.get("body") or message.get("bytes") or b"")
        self._behind = max(0.0, self._behind - brought / self._rate)
        return message

    def send_away(self) -> None:
        """Let its wait end now."""
        self._sent_away = True
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())


class AdmissionControl:
    """ASGI middleware: bounds how many requests with a body and live streams there are at once, and their bytes."""

    def __init__(self, app: ASGIApp, limits: ServerLimits) -> None:
        self.app, self.limits = app, limits
        self._inside: set[TrackedRequest] = set()
        self._leaving: set[TrackedRequest] = set()

    @property
    def under_way(self) -> int:
        """How many are inside."""
        return len(self._inside)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one WebSocket."""
        scope["scenelet.gate"] = self
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["method"] != "POST"):
            await self.app(scope, receive, send)
            return
        if self.under_way - len(self._leaving) >= self.limits.max_clients and not self._made_room():
            detail = f"{self.limits.max_clients} requests are under way, which is this service's limit; try again soon"
            await refuse_request(error_response(429, detail, AGAIN), scope, receive, send, self.limits.max_body)
            return
        if scope["type"] == "http" and content_length(scope) > self.limits.max_body:
            await refuse_request(error_response(413, self._too_large()), scope, receive, send, 2 * self.limits.max_body)
            return
        web = scope["type"] == "http"
        rate, late = (BODY_RATE, _timed_out) if web else (STREAM_RATE, UsageError)
        guest = TrackedRequest(receive, self.limits.client_timeout_seconds, rate, late)
        self._inside.add(guest)
        try:
            await self.app(scope, self._bounded(guest) if web else guest.receive, send)
        finally:
            self._inside.discard(guest)
            self._leaving.discard(guest)

    def _made_room(self) -> bool:
        """Send the one away who keeps the service waiting longest, if anyone does."""
        waited_for = (guest for guest in self._inside - self._leaving if guest.keeps_waiting)
        slowest = max(waited_for, key=lambda guest: guest.behind, default=None)
        if slowest is None or slowest.behind < min(FULL_TIMEOUT_SECONDS, self.limits.client_timeout_seconds):
            return False
        self._leaving.add(slowest)
        slowest.send_away()
        return True

    def _bounded(self, guest: TrackedRequest) -> Receive:
        """Messages of a body, until it is larger than what is taken: its length need not be in its head, or true."""

        async def bounded() -> Message:
            message = await guest.receive()
            guest.held += len(message.get("body", b""))
            if guest.held > self.limits.max_body:
                raise HTTPException(413, self._too_large())
            held = sum(other.held for other in self._inside - self._leaving)
            if held > self.limits.max_held and not self._made_room():
                raise HTTPException(429, "too much is being sent to this service at once; try again soon", AGAIN)
            return message

        return bounded

    def _too_large(self) -> str:
        return f"the request is larger than {self.limits.max_body:,} bytes; send fewer or shorter recordings"


def _timed_out(detail: str) -> HTTPException:
    return HTTPException(408, detail, {"Connection": "close"})
