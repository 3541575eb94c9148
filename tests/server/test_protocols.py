"""What our protocols replace in uvicorn's is there: uvicorn promises none of it, and without it our bounds are idle."""

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from scenelet.server import protocols as connections

HTTP = {"connections", "cycle", "pipeline", "transport"}
SOCKET = {"close_sent", "conn", "curr_msg_data_type", "frames", "handshake_complete", "handshake_initiated", "queue"}


def replaced(*ours: type) -> set[str]:
    """The methods that call the ones they replace."""
    methods = [value for cls in ours for value in vars(cls).values() if hasattr(value, "__code__")]
    return {method.__name__ for method in methods if "__class__" in method.__code__.co_freevars}


@pytest.mark.parametrize(
    ("ours", "base", "attributes"),
    [
        (connections._Http, HttpToolsProtocol, HTTP),
        (connections._Socket, WebSocketsSansIOProtocol, SOCKET | {"transport", "writable"}),
    ],
)
def test_what_is_replaced_is_there(ours: type, base: type, attributes: set[str]) -> None:
    methods = replaced(ours, connections._Watched)
    assert len(methods) > 9
    settings, loop = uvicorn.Config(lambda: None, log_config=None), asyncio.new_event_loop()
    settings.load()
    made = base(settings, ServerState(), {}, loop)
    loop.close()
    assert {name for name in methods | attributes if not hasattr(made, name)} == set()
