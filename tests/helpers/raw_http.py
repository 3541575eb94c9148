"""Bytes to and from a service, as no well-made client sends them."""

import base64
import socket
import struct
from urllib.parse import urlsplit


def link(address: str, data: bytes = b"", buffer: int | None = None) -> socket.socket:
    """A connection over which `data` was sent; `buffer` bounds what is kept of what comes."""
    host = urlsplit(address)
    made = socket.socket()
    made.settimeout(30)
    if buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.connect((host.hostname, host.port))
    made.sendall(data)
    return made


def heard(connection: socket.socket) -> bytes:
    """All that comes until the service closes."""
    answered = b""
    try:
        while part := connection.recv(1 << 16):
            answered += part
    except ConnectionError:
        pass
    connection.close()
    return answered


def head(address: str, first: str, *more: str) -> bytes:
    return "\r\n".join([f"{first} HTTP/1.1", f"Host: {urlsplit(address).netloc}", *more, "", ""]).encode()


def form(address: str, body: bytes, kind: str = "multipart/form-data; boundary=b") -> bytes:
    told = f"Content-Length: {len(body)}"
    return head(address, "POST /predict", f"Content-Type: {kind}", told, "Connection: close") + body


def upgrade(address: str, *more: str) -> bytes:
    key = f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}"
    fixed = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
    return head(address, "GET /stream?sample_rate=8000&hop=0.1&format=s16", *fixed, *more)


def frame(kind: int, data: bytes, last: bool = True) -> bytes:
    """A WebSocket's frame of fewer than 64 kB, its mask zero."""
    size = bytes([128 | len(data)]) if len(data) < 126 else struct.pack(">BH", 254, len(data))
    return bytes([last << 7 | kind]) + size + bytes(4) + data
