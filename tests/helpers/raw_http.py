"""Raw bytes to and from a service, for requests that no correct client sends."""

import base64
import socket
import struct
from urllib.parse import urlsplit


def open_connection(address: str, data: bytes = b"", buffer: int | None = None) -> socket.socket:
    """Connect and send `data`; `buffer` limits the receive buffer in bytes."""
    host = urlsplit(address)
    connection = socket.socket()
    connection.settimeout(30)
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.connect((host.hostname, host.port))
    connection.sendall(data)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the service closes the connection."""
    received = b""
    try:
        while part := connection.recv(1 << 16):
            received += part
    except ConnectionError:
        pass
    connection.close()
    return received


def exchange(address: str, data: bytes) -> bytes:
    """Connect, send `data`, and read until the service closes the connection."""
    return read_all(open_connection(address, data))


def request_header(address: str, request: str, *fields: str) -> bytes:
    """Return a header such as `request_header(address, "GET /health", "A: b")`."""
    return "\r\n".join([f"{request} HTTP/1.1", f"Host: {urlsplit(address).netloc}", *fields, "", ""]).encode()


def upload_request(address: str, body: bytes, content_type: str = "multipart/form-data; boundary=b") -> bytes:
    """Return a POST to `/predict` with this body."""
    fields = f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close"
    return request_header(address, "POST /predict", *fields) + body


def upgrade_request(address: str, *fields: str) -> bytes:
    """Return a WebSocket handshake."""
    key = f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}"
    required = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
    return request_header(address, "GET /stream?sample_rate=8000&hop=0.1&format=s16", *required, *fields)


def websocket_frame(opcode: int, data: bytes, is_last: bool = True) -> bytes:
    """Return a WebSocket frame of fewer than 64 kB with a mask of zeros."""
    size = bytes([128 | len(data)]) if len(data) < 126 else struct.pack(">BH", 254, len(data))
    return bytes([is_last << 7 | opcode]) + size + bytes(4) + data
