"""Services for tests: one on a local port, and parts of one in an event loop of their own."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import uvicorn

from scenelet.inference.classifier import Classifier
from scenelet.server.app import create_app
from scenelet.server.auth import AccessPolicy
from scenelet.server.limits import ServerLimits
from scenelet.server.run import bind, make_server

Result = TypeVar("Result")


@contextmanager
def run_service(
    classifier: Classifier, name: str, limits: ServerLimits | None = None, policy: AccessPolicy | None = None
) -> Iterator[str]:
    """Run a service in a thread; yields its URL."""
    (socket,) = bind("127.0.0.1", 0)
    service: uvicorn.Server = make_server(create_app(classifier, name, limits, policy=policy), limits)
    thread = threading.Thread(target=service.run, args=([socket],))
    thread.start()
    while not service.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        service.should_exit = True
        thread.join()
        socket.close()


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a new thread, since playwright may already run a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def active_requests(address: str) -> int:
    """Return the number of active requests of the service at `address`."""
    return int(httpx.get(f"{address}/health", timeout=30).json()["active_requests"])


def websocket_url(address: str, path: str) -> str:
    """Return the URL of a WebSocket of the service at `address`."""
    return f"{address.replace('http', 'ws', 1)}/{path}"
