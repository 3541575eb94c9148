"""The gate: whoever is inside counts until it leaves, and only who keeps the service waiting loses its place."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from helpers.web_service import elsewhere
from scenelet.server import admission as gate
from scenelet.server.admission import AdmissionControl, TrackedRequest
from scenelet.server.limits import ServerLimits

POST: Scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
NO_BODY: Message = {"type": "http.request", "body": b"", "more_body": False}


def test_who_has_sent_all_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service then asks now and then whether the client has gone: that wait is none for the client."""
    monkeypatch.setattr(gate, "FULL_TIMEOUT_SECONDS", 0.0)
    said: list[Message] = []

    async def ask() -> int:
        come: asyncio.Queue[Message] = asyncio.Queue()
        done = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["more_body"]:
                pass
            asks = asyncio.create_task(receive())
            await done.wait()
            asks.cancel()

        async def nothing_more() -> Message:
            return NO_BODY

        async def say(message: Message) -> None:
            said.append(message)

        front = AdmissionControl(app, ServerLimits(max_clients=1))
        first = asyncio.create_task(front(dict(POST), come.get, say))
        await asyncio.sleep(0.01)  # its client is behind
        come.put_nowait({"type": "http.request", "body": b"x", "more_body": True})
        come.put_nowait(NO_BODY)
        await asyncio.sleep(0.01)
        second = asyncio.create_task(front(dict(POST), nothing_more, say))
        await asyncio.sleep(0.01)
        pluralize = front.under_way
        done.set()
        await asyncio.gather(first, second)
        return pluralize

    assert elsewhere(ask()) == 1
    assert said[0]["status"] == 429


def test_no_patience_is_spent_on_who_has_sent_all() -> None:
    async def ask() -> Message:
        come: asyncio.Queue[Message] = asyncio.Queue()
        guest = TrackedRequest(come.get, 0.05, 1e9, gate._timed_out)
        come.put_nowait(NO_BODY)
        await guest.receive()
        asyncio.get_running_loop().call_later(0.1, come.put_nowait, {"type": "http.disconnect"})
        return await guest.receive()

    assert elsewhere(ask()) == {"type": "http.disconnect"}


def test_what_comes_as_its_sender_loses_its_place_comes_too_late() -> None:
    """Its place is given away: it would work on without being counted."""

    async def ask() -> None:
        come: asyncio.Queue[Message] = asyncio.Queue()
        guest = TrackedRequest(come.get, 1000, 1e9, gate._timed_out)
        waiting = asyncio.create_task(guest.receive())
        await asyncio.sleep(0.01)
        come.put_nowait(NO_BODY)
        guest.send_away()
        await waiting

    with pytest.raises(HTTPException) as refused:
        elsewhere(ask())
    assert refused.value.status_code == 408


def test_whose_patience_ends_can_be_sent_away_in_the_same_moment() -> None:
    async def ask() -> None:
        come: asyncio.Queue[Message] = asyncio.Queue()
        guest = TrackedRequest(come.get, 0.0, 1e9, gate._timed_out)
        waiting = asyncio.create_task(guest.receive())
        while not (guest.keeps_waiting and guest._waiting.expired()):  # type: ignore[union-attr]
            assert not waiting.done()
            await asyncio.sleep(0)
        guest.send_away()
        await waiting

    with pytest.raises(HTTPException):
        elsewhere(ask())
