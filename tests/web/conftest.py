"""Services for the tests of this folder."""

from collections.abc import Iterator

import pytest

from scenelet.classifier import Classifier, load
from tiny_model import tiny_model
from web_service import running


@pytest.fixture(scope="session")
def esc10_service() -> Iterator[str]:
    """The built-in model's service."""
    with running(load("esc10", threads=2), "esc10") as address:
        yield address


@pytest.fixture
def tiny_service(request: pytest.FixtureRequest) -> Iterator[str]:
    """A tiny model's service; its limits are the test's parameter, if it has one."""
    with running(Classifier(tiny_model(), threads=2), "tiny", getattr(request, "param", None)) as address:
        yield address
