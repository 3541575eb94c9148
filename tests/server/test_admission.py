"""Admission control: active requests, delays and evictions."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from helpers.web_service import run_async
from scenelet.server.admission import AdmissionControl, TrackedRequest, timeout_error
from scenelet.server.limits import ServerLimits

POST: Scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
LAST: Message = {"type": "http.request", "body": b"", "more_body": False}
DISCONNECT: Message = {"type": "http.disconnect"}


class Client:
    """Source of messages that knows how often the service has asked for one."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.reads = 0

    async def receive(self) -> Message:
        self.reads += 1
        return await self.messages.get()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def iterate_event_loop() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def track(receive: Callable[[], Awaitable[Message]], timeout_seconds: float) -> TrackedRequest:
    return TrackedRequest(receive, timeout_seconds, 1e9, timeout_error)  # type: ignore[arg-type]


def test_admission_complete_request_is_not_evicted() -> None:
    """While it works, the service waits for a disconnect, which is no delay that the client causes."""
    responses: list[Message] = []

    async def serve_two() -> int:
        client = Client()
        done = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["more_body"]:
                pass
            disconnected = asyncio.create_task(receive())
            await done.wait()
            disconnected.cancel()

        async def receive_last() -> Message:
            return LAST

        async def send(message: Message) -> None:
            responses.append(message)

        control = AdmissionControl(app, ServerLimits(max_clients=1, full_timeout_seconds=0.0))
        first = asyncio.create_task(control(dict(POST), client.receive, send))
        await until(lambda: client.reads == 1)
        client.messages.put_nowait({"type": "http.request", "body": b"x", "more_body": True})
        client.messages.put_nowait(LAST)
        await until(lambda: client.reads == 3)
        await control(dict(POST), receive_last, send)
        active = control.active_requests
        done.set()
        await first
        return active

    assert run_async(serve_two()) == 1
    assert responses[0]["status"] == 429


def test_tracked_request_no_timeout_once_complete() -> None:
    async def wait_for_disconnect() -> Message:
        client = Client()
        request = track(client.receive, timeout_seconds=0.0)
        client.messages.put_nowait(LAST)
        await request.receive()
        waiting = asyncio.create_task(request.receive())
        await iterate_event_loop()
        client.messages.put_nowait(DISCONNECT)
        return await waiting

    assert run_async(wait_for_disconnect()) == DISCONNECT


def test_tracked_request_timeout_raises() -> None:
    async def wait() -> None:
        request = track(Client().receive, timeout_seconds=0.0)
        assert request.delay_seconds == 0
        await request.receive()

    with pytest.raises(HTTPException, match="received too little data in 0 s") as caught:
        run_async(wait())
    assert caught.value.status_code == 408


def test_tracked_request_message_at_eviction_is_dropped() -> None:
    """Another request has taken the slot, so this one must not continue uncounted."""

    async def evict() -> None:
        client = Client()
        request = track(client.receive, timeout_seconds=1000)
        waiting = asyncio.create_task(request.receive())
        await until(lambda: request.is_waited_for)
        client.messages.put_nowait(LAST)
        request.evict()
        await waiting

    with pytest.raises(HTTPException) as caught:
        run_async(evict())
    assert caught.value.status_code == 408


@pytest.mark.parametrize("iterations", range(8))
def test_tracked_request_eviction_during_timeout(iterations: int) -> None:
    """A timeout takes some iterations of the event loop; an eviction may come at each of them."""

    async def evict() -> None:
        request = track(Client().receive, timeout_seconds=0.0)
        waiting = asyncio.create_task(request.receive())
        for _ in range(iterations):
            await asyncio.sleep(0)
        request.evict()
        await waiting

    with pytest.raises(HTTPException) as caught:
        run_async(evict())
    assert caught.value.status_code == 408
