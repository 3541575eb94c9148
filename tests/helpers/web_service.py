"""A service that runs, on a port of this machine; or a part of one, in a loop of its own."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import uvicorn

from scenelet.inference.classifier import Classifier
from scenelet.server.app import create_app
from scenelet.server.auth import AccessPolicy
from scenelet.server.limits import ServerLimits
from scenelet.server.run import bind, server

Result = TypeVar("Result")


@contextmanager
def running(
    classifier: Classifier, name: str, limits: ServerLimits | None = None, allowed: AccessPolicy | None = None
) -> Iterator[str]:
    """Its address, while it runs."""
    socket = bind("127.0.0.1", 0)
    service: uvicorn.Server = server(create_app(classifier, name, limits, allowed=allowed), limits)
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


def elsewhere(work: Coroutine[Any, Any, Result]) -> Result:
    """What it gives, run in a thread of its own: in this one the browser of other tests may have a loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
