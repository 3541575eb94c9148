"""Malicious clients of `scenelet serve` for `serve_malicious.py`; each function call is one attempt of a kind."""

import asyncio
import base64
import io
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
import soundfile

PATIENCE = 60.0  # seconds; who is connected for longer counts as still there
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n'
NAMES = (
    b"../../etc/passwd",
    b"a\0b",
    b"\x1b[2J\x1b[31m",
    b"\xc2\x9b2J",
    b"<script>alert(1)</script>",
    b"n" * 4000,
    b"..\\..\\x",
)
CHARSETS = (b"unicode_escape", b"idna", b"utf-7", b"punycode", b"zlib")


@dataclass
class Target:
    """Service under attack, and the data to send to it."""

    port: int
    recording: bytes
    bomb: bytes  # small, and ten minutes long
    rng: random.Random

    def head(self, first: str, *more: str, host: str | None = None) -> bytes:
        """Return the header of a request."""
        return "\r\n".join([first + " HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *more, "", ""]).encode()

    def post(
        self, body: bytes, kind: str = "multipart/form-data; boundary=b", *more: str, host: str | None = None
    ) -> bytes:
        """Return a complete request to `/predict`."""
        length = f"Content-Length: {len(body)}"
        return self.head("POST /predict", f"Content-Type: {kind}", length, "Connection: close", *more, host=host) + body

    def form(self, *files: tuple[bytes, bytes]) -> bytes:
        """Return a multipart body."""
        return b"".join(PART % name + data + b"\r\n" for name, data in files) + b"--b--\r\n"

    def upgrade(self, query: str = "sample_rate=8000&hop=0.05&format=s16", *more: str) -> bytes:
        """Return the handshake of a WebSocket."""
        key = base64.b64encode(self.rng.randbytes(16)).decode()
        fixed = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}")
        return self.head(f"GET /stream?{query}", *fixed, *more)

    def connect(self) -> socket.socket:
        """Open a connection with a small receive buffer."""
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        link.connect(("127.0.0.1", self.port))
        link.setblocking(False)
        return link


def bomb() -> bytes:
    """Return ten minutes of silence as FLAC."""
    data = io.BytesIO()
    soundfile.write(data, np.zeros(600 * 44100, np.int16), 44100, format="FLAC")
    return data.getvalue()


def frame(kind: int, data: bytes, last: bool = True) -> bytes:
    """Return a WebSocket frame with a mask of zero."""
    size = len(data)
    length = (
        bytes([128 | size])
        if size < 126
        else struct.pack(">BH", 254, size)
        if size < 1 << 16
        else struct.pack(">BQ", 255, size)
    )
    return bytes([last << 7 | kind]) + length + bytes(4) + data


async def say(target: Target, *parts: bytes, pause: float = 0.0, again: bool = False, deaf: bool = False) -> str:
    """Send with pauses; return the status of the answer, or "closed", "cut" (reset) or "still there"."""
    loop, link = asyncio.get_running_loop(), target.connect()
    listener = asyncio.create_task(_listen(link)) if not deaf else None

    async def speak() -> None:
        while True:
            for part in parts:
                await loop.sock_sendall(link, part)
                await asyncio.sleep(pause)
            if not again:
                return

    try:
        async with asyncio.timeout(PATIENCE):
            speaking = asyncio.create_task(speak())
            try:
                if listener is not None:
                    return await listener
                await speaking
                while True:  # send almost nothing and read nothing until the server closes the connection
                    await asyncio.sleep(1)
                    await loop.sock_sendall(link, b"\0")
            finally:
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)
    except TimeoutError:
        return "still there"
    except OSError:
        return "cut"
    finally:
        if listener is not None:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
        link.close()


async def _listen(link: socket.socket) -> str:
    """Read until the service closes; return the status of its answer, or the close code of a WebSocket."""
    loop, start, end, how = asyncio.get_running_loop(), b"", b"", "closed"
    try:
        while data := await loop.sock_recv(link, 1 << 16):
            start, end = (start + data)[:16], (end + data)[-200:]
    except OSError:
        how = "cut"
    status = start[9:12].decode("latin-1")
    closing = end.rfind(b"\x88")
    if status == "101" and 0 <= closing < len(end) - 3:
        return str(int.from_bytes(end[closing + 2 : closing + 4], "big"))
    return status or how


async def leave(target: Target, data: bytes, wait: float) -> str:
    """Send, then reset the connection."""
    link = target.connect()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
    try:
        await asyncio.get_running_loop().sock_sendall(link, data)
        await asyncio.sleep(wait)
    except OSError:
        return "cut"
    finally:
        link.close()
    return "left"


def _spoilt(t: Target) -> bytes:
    data = bytearray(t.recording[: t.rng.randrange(1, len(t.recording))])
    for _ in range(t.rng.randrange(1, 40)):
        data[t.rng.randrange(len(data))] = t.rng.randrange(256)
    return bytes(data)


def _damaged(t: Target) -> bytes:
    form = t.form((b"a.ogg", t.recording[:20_000]))
    return t.rng.choice(
        (
            t.post(form, "multipart/form-data"),
            t.post(form, "multipart/form-data; boundary=" + 300 * "b"),
            t.post((PART % b"a" + b"x\r\n") * 20_000),
            t.post(b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n' * 20_000),
            t.post(PART % (b"n" * 3_000_000)),
            t.post(form[: t.rng.randrange(len(form))]),
            t.post(
                t.form((t.rng.choice(NAMES), b"x")),
                f"multipart/form-data; boundary=b; charset={t.rng.choice(CHARSETS).decode()}",
            ),
        )
    )


HANGING = (
    b"RIFF\x18\0\0\0WAVELIST\0\0\1\0INFOfact\xf4\xff\xff\xff",  # libsndfile 1.2.2 does not return from these two
    b"FORM\0\0\0F8SVXVHDR\0\0\0\x14" + bytes(12) + b"\x1f\x40\1\0\0\1\0\0BODY\xff\xff\xff\xf0" + bytes(30),
    b"OggS\0" * 200_000,  # and needs seconds for this one
)
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
KINDS: dict[str, Callable[[Target], Awaitable[str]]] = {
    "says nothing": lambda t: say(t),
    "head, a byte a second": lambda t: say(t, *[bytes([b]) for b in t.head("GET /health")], pause=1.0),
    "head without end": lambda t: say(t, b"GET / HTTP/1.1\r\nX: ", b"x" * 65536, again=True),
    "random bytes": lambda t: say(t, t.rng.randbytes(2000)),
    "5,000 requests at once": lambda t: say(t, t.head("GET /health") * 5000),
    "body, a byte a second": lambda t: say(t, t.post(PART % b"a" + bytes(90_000))[:-90_000], *[b"x"] * 99, pause=1.0),
    "body without end": lambda t: say(
        t,
        t.head("POST /predict", "Content-Type: multipart/form-data; boundary=b", "Transfer-Encoding: chunked")
        + b"%x\r\n" % len(PART % b"a")
        + PART % b"a"
        + b"\r\n",
        *[CHUNK] * 10_000,
    ),
    "length too large": lambda t: say(
        t, t.post(t.form((b"a.ogg", t.recording))).replace(b"Content-Length: ", b"Content-Length: 9")
    ),
    "length of 10 GB": lambda t: say(t, t.head("POST /predict", "Content-Length: 9999999999"), b"x" * 65536),
    "leaves amid its body": lambda t: leave(t, t.post(t.form((b"a.ogg", t.recording)))[:-1000], t.rng.random()),
    "leaves before its answer": lambda t: leave(t, t.post(t.form((b"a.ogg", t.recording))), 0.01),
    "another content type": lambda t: say(t, t.post(b"{}", "application/json")),
    "damaged multipart, names": lambda t: say(t, _damaged(t)),
    "spoilt recordings": lambda t: say(t, t.post(t.form(*[(b"%d.ogg" % i, _spoilt(t)) for i in range(5)]))),
    "recordings that hang decoders": lambda t: say(t, t.post(t.form((b"a.wav", t.rng.choice(HANGING))))),
    "leaves a hanging decoder": lambda t: leave(t, t.post(t.form((b"a.wav", t.rng.choice(HANGING)))), 0.1),
    "100 x 10 min of FLAC": lambda t: say(t, t.post(t.form(*[(b"%d.flac" % i, t.bomb) for i in range(100)]))),
    "another's page": lambda t: say(
        t, t.post(t.form((b"a", t.recording)), "multipart/form-data; boundary=b", "Origin: http://evil.example")
    ),
    "another's page, WebSocket": lambda t: say(t, t.upgrade("sample_rate=8000", "Origin: http://evil.example")),
    "another name (rebinding)": lambda t: say(t, t.post(t.form((b"a", t.recording)), host="evil.example:8000")),
    "reads no answer": lambda t: say(t, t.head("GET /static-offline-docs/swagger-ui-bundle.js"), deaf=True),
    "WebSocket: says nothing": lambda t: say(t, t.upgrade()),
    "WebSocket: reads nothing": lambda t: say(
        t, t.upgrade(), *[frame(2, bytes(60_000))] * 10_000, pause=0.01, deaf=True
    ),
    "WebSocket: tiny frames": lambda t: say(t, t.upgrade(), b"", frame(2, bytes(2)) * 30_000, pause=0.5, again=False),
    "WebSocket: pieces": lambda t: say(
        t, t.upgrade(), frame(2, b"", last=False) + frame(0, b"", last=False) * 5000, pause=0.5
    ),
    "WebSocket: huge frames": lambda t: say(t, t.upgrade(), frame(2, bytes(2_000_000)), pause=0.5),
    "WebSocket: pings, deaf": lambda t: say(
        t, t.upgrade(), *[frame(9, bytes(100)) * 1000] * 10_000, pause=0.0, deaf=True
    ),
    "WebSocket: faster than sound": lambda t: say(t, t.upgrade(), *[frame(2, bytes(1_000_000))] * 20, pause=0.3),
    "WebSocket: bad frames": lambda t: say(
        t, t.upgrade(), t.rng.choice((frame(3, b"x"), frame(1, b"\xff"), frame(0, b"x"))), pause=0.5
    ),
    "WebSocket: leaves": lambda t: leave(t, t.upgrade(), t.rng.random()),
}
