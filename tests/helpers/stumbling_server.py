"""HTTP server for the files of a folder that fails a number of times first."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class StumblingServer:
    """Running server: its next `failures` responses have the status `status`.

    Paths with "secret" are always refused with 403.
    """

    url: str = ""
    failures: int = 0
    status: int = 503


@contextmanager
def serve_folder(folder: Path) -> Iterator[StumblingServer]:
    """Serve the files of a folder on a local port."""
    state = StumblingServer()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if state.failures:
                state.failures -= 1
                self.send_error(state.status)
            elif "secret" in self.path:
                self.send_error(403)
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()
