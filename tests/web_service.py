"""A service that runs, on a port of this machine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from scenelet.classifier import Classifier
from scenelet.web.access import Callers
from scenelet.web.limits import Limits
from scenelet.web.run import bind, server
from scenelet.web.service import create_app


@contextmanager
def running(
    classifier: Classifier, name: str, limits: Limits | None = None, allowed: Callers | None = None
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
