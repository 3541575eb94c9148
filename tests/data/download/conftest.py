"""A server on this machine."""

from collections.abc import Iterator

import pytest

from helpers.loopback_server import Loopback, serve


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as running:
        yield running
