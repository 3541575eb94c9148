"""The attributes of uvicorn that the protocols use, and their behavior after the service has closed."""

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from scenelet.server.limits import ServerLimits
from scenelet.server.protocols import ConnectionTable, protocol_classes

HTTP, WEBSOCKET = protocol_classes(ConnectionTable(10, ServerLimits()))
HTTP_ATTRIBUTES = {"connections", "cycle", "pipeline", "transport"}
WEBSOCKET_ATTRIBUTES = {
    "close_sent",
    "conn",
    "curr_msg_data_type",
    "frames",
    "handshake_complete",
    "handshake_initiated",
    "queue",
    "transport",
    "writable",
}


def overriding_methods(protocol: type) -> set[str]:
    """Return the names of the protocol's methods that call the method of uvicorn that they override."""
    classes = [cls for cls in protocol.__mro__ if cls.__module__.startswith("scenelet.")]
    methods = [value for cls in classes for value in vars(cls).values() if hasattr(value, "__code__")]
    return {method.__name__ for method in methods if "__class__" in method.__code__.co_freevars}


@pytest.mark.parametrize(
    ("protocol", "base", "attributes"),
    [(HTTP, HttpToolsProtocol, HTTP_ATTRIBUTES), (WEBSOCKET, WebSocketsSansIOProtocol, WEBSOCKET_ATTRIBUTES)],
)
def test_protocols_override_existing_attributes(protocol: type, base: type, attributes: set[str]) -> None:
    """uvicorn does not document them; without them the limits would have no effect."""
    methods = overriding_methods(protocol)
    assert len(methods) > 9
    config, loop = uvicorn.Config(lambda: None, log_config=None), asyncio.new_event_loop()
    config.load()
    instance = base(config, ServerState(), {}, loop)
    loop.close()
    assert {name for name in methods | attributes if not hasattr(instance, name)} == set()


def test_websocket_send_after_close_raises_disconnected() -> None:
    """uvicorn would report an error of the application if the client has not read what came before."""
    connection = WEBSOCKET.__new__(WEBSOCKET)
    connection.writable = asyncio.Event()
    connection.writable.set()
    connection.close_sent = connection.handshake_complete = True
    connection.disconnected, connection.initial_response = False, None
    sending = connection.send({"type": "websocket.send", "text": ""})
    with pytest.raises(ClientDisconnected):
        sending.send(None)
