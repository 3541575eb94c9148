"""Admission control: limit active requests and their bytes, and evict the slowest client if the service is full."""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scenelet.errors import UsageError
from scenelet.server.limits import ServerLimits, content_length, error_response, refuse_request
from scenelet.utils.text import pluralize

MIN_UPLOAD_BYTES_PER_SECOND = 20_000.0
MIN_STREAM_BYTES_PER_SECOND = 1_000.0  # half of what a stream's lowest rate and smallest format need
RETRY_HEADERS = {"Retry-After": "1"}  # seconds


class TrackedRequest:
    """A request or live stream together with the delay that its client has caused.

    The delay grows while the service waits for the client, and shrinks with every byte that arrives.

    Args:
        receive: source of the ASGI messages.
        timeout_seconds: maximum delay.
        bytes_per_second: bytes that make up for one second of delay.
        make_error: builds the exception for a client that is too slow from its message.
    """

    def __init__(
        self, receive: Receive, timeout_seconds: float, bytes_per_second: float, make_error: Callable[[str], Exception]
    ) -> None:
        self._receive, self._make_error = receive, make_error
        self._timeout_seconds, self._bytes_per_second = timeout_seconds, bytes_per_second
        self._delay_seconds = 0.0
        self._wait: asyncio.Timeout | None = None
        self._wait_start = 0.0
        self._is_complete = self._is_evicted = False
        self.body_bytes = 0
        """Bytes of the body that are in memory."""

    @property
    def is_waited_for(self) -> bool:
        """True while the service waits for this client."""
        return self._wait is not None

    @property
    def delay_seconds(self) -> float:
        """Delay caused by this client; 0 unless the service waits for it."""
        if self._wait is None:
            return 0.0
        return self._delay_seconds + asyncio.get_running_loop().time() - self._wait_start

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            Exception: the result of `make_error`, if the client is too slow or was evicted.
        """
        if self._is_complete:  # the service now only asks whether the client has disconnected
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._wait_start = loop.time()
        message = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_seconds - self._delay_seconds) as self._wait:
                    message = await self._receive()
        finally:
            self._delay_seconds += loop.time() - self._wait_start
            self._wait = None
        # a message that arrives at the moment of eviction is too late: another request has taken the slot
        if message is None or self._is_evicted:
            raise self._make_error(f"received too little data in {self._delay_seconds:.0f} s; send faster or try again")
        if message["type"].startswith("http.") and not message.get("more_body", False):
            self._is_complete, self._delay_seconds = True, 0.0
            return message
        size = len(message.get("body") or message.get("bytes") or b"")
        self._delay_seconds = max(0.0, self._delay_seconds - size / self._bytes_per_second)
        return message

    def evict(self) -> None:
        """End the current wait, so that `receive` raises."""
        self._is_evicted = True
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())


class AdmissionControl:
    """ASGI middleware that limits active requests and streams, and the bytes of their bodies.

    Requests without a body, such as GET, are always admitted.
    """

    def __init__(self, app: ASGIApp, limits: ServerLimits) -> None:
        self.app, self.limits = app, limits
        self._active: set[TrackedRequest] = set()
        self._evicted: set[TrackedRequest] = set()

    @property
    def active_requests(self) -> int:
        """Number of requests with a body and of streams that are being served."""
        return len(self._active)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request or WebSocket."""
        scope["scenelet.admission"] = self
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["method"] != "POST"):
            await self.app(scope, receive, send)
            return
        max_bytes = self.limits.max_body_bytes
        if self.active_requests - len(self._evicted) >= self.limits.max_clients and not self._evict_slowest():
            maximum = pluralize(self.limits.max_clients, "active request")
            refusal = error_response(429, f"the service has its maximum of {maximum}; try again soon", RETRY_HEADERS)
            await refuse_request(refusal, scope, receive, send, max_bytes)
            return
        if scope["type"] == "http" and content_length(scope) > max_bytes:
            await refuse_request(error_response(413, self._too_large()), scope, receive, send, 2 * max_bytes)
            return
        is_http = scope["type"] == "http"
        rate = MIN_UPLOAD_BYTES_PER_SECOND if is_http else MIN_STREAM_BYTES_PER_SECOND
        make_error = timeout_error if is_http else UsageError
        request = TrackedRequest(receive, self.limits.client_timeout_seconds, rate, make_error)
        self._active.add(request)
        try:
            await self.app(scope, self._limit_body(request) if is_http else request.receive, send)
        finally:
            self._active.discard(request)
            self._evicted.discard(request)

    def _evict_slowest(self) -> bool:
        """Evict the client that has caused the longest delay; return False if none is slow enough."""
        candidates = (request for request in self._active - self._evicted if request.is_waited_for)
        slowest = max(candidates, key=lambda request: request.delay_seconds, default=None)
        timeout = min(self.limits.full_timeout_seconds, self.limits.client_timeout_seconds)
        if slowest is None or slowest.delay_seconds < timeout:
            return False
        self._evicted.add(slowest)
        slowest.evict()
        return True

    def _limit_body(self, request: TrackedRequest) -> Receive:
        """Return a `receive` that counts the body's bytes: Content-Length may be missing or wrong."""

        async def receive() -> Message:
            message = await request.receive()
            request.body_bytes += len(message.get("body", b""))
            if request.body_bytes > self.limits.max_body_bytes:
                raise HTTPException(413, self._too_large())
            total = sum(other.body_bytes for other in self._active - self._evicted)
            if total > self.limits.max_total_body_bytes and not self._evict_slowest():
                detail = "the service is receiving too much data from all clients together; try again soon"
                raise HTTPException(429, detail, RETRY_HEADERS)
            return message

        return receive

    def _too_large(self) -> str:
        return f"the request is larger than {self.limits.max_body_bytes:,} bytes; send fewer or shorter recordings"


def timeout_error(detail: str) -> HTTPException:
    """Return the error for an HTTP client that is too slow.

    Examples:
        >>> timeout_error("received nothing").status_code
        408
    """
    return HTTPException(408, detail, {"Connection": "close"})
