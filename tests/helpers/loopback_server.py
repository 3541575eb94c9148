"""A web server on this machine that can misbehave, request by request."""

import functools
import re
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Answer to one request. By default the server behaves correctly.

    Attributes:
        status: status code of an error without a body.
        location: address that the file has moved to.
        body: content that is sent in place of the requested file.
        cut: number of bytes of the body after which the connection breaks.
        length: whether the length of the body is announced.
        retry_after: seconds or date that an error's `Retry-After` names.
        shift: bytes by which the range that is sent starts after the requested one.
    """

    status: int | None = None
    location: str | None = None
    body: bytes | None = None
    cut: int | None = None
    length: bool = True
    retry_after: str | None = None
    shift: int = 0


@dataclass
class Loopback:
    """Files, behavior and log of the server.

    Attributes:
        url: address.
        files: path without a leading slash -> content.
        ranges: whether the server supports ranges.
        answers: path -> answers to the next requests, in order.
        always: path -> answer to all requests after these.
        log: (path, Range header) of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Answer] = field(default_factory=dict)
    log: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[Loopback]:
    """Run a server."""
    state = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 10  # a client that does not close must not delay the end of the test

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            path, asked = self.path.lstrip("/"), self.headers.get("Range")
            state.log.append((path, asked))
            planned = state.answers.get(path)
            answer = planned.pop(0) if planned else state.always.get(path, Answer())
            body = answer.body if answer.body is not None else state.files.get(path)
            found = re.fullmatch(r"bytes=(\d+)-", asked or "") if state.ranges else None
            if body is None or answer.status or answer.location:
                self.send_response(answer.status or (302 if answer.location else 404))
                if answer.location:
                    self.send_header("Location", answer.location)
                if answer.retry_after is not None:
                    self.send_header("Retry-After", answer.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(found[1]) + answer.shift if found else 0
            if start >= len(body) > 0:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if found else 200)
            if found:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if answer.length:
                self.send_header("Content-Length", str(len(body) - start))
            self.close_connection = not answer.length or answer.cut is not None
            self.end_headers()
            sent = body[start:] if answer.cut is None else body[start : start + answer.cut]
            try:
                self.wfile.write(sent)
                if self.close_connection:
                    self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.close_connection = True  # the client closed the connection

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Print nothing: clients close connections early in these tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve the files of a folder as a plain web host does, without special headers; yields the address."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
