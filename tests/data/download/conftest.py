"""A server on this machine, and no waits before retries."""

from collections.abc import Iterator

import pytest

from helpers.loopback_server import Loopback, serve
from scenelet.data.download import session


@pytest.fixture(autouse=True, scope="package")
def _no_waits() -> Iterator[None]:
    """Try again at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "BACKOFF_FACTOR", 0.0)
        yield


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as running:
        yield running
