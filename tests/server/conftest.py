"""Services for the tests of this folder."""

from collections.abc import Iterator

import pytest

from helpers.tiny_model import tiny_model
from helpers.web_service import running
from scenelet.inference.classifier import Classifier, load


@pytest.fixture(scope="session")
def esc10_service() -> Iterator[str]:
    """The built-in model's service."""
    with running(load("esc10", threads=2), "esc10") as address:
        yield address


@pytest.fixture
def tiny_service(request: pytest.FixtureRequest) -> Iterator[str]:
    """A tiny model's service; its limits are the test's parameter, if it has one."""
    with running(Classifier(tiny_model(), callers=2), "tiny", getattr(request, "param", None)) as address:
        yield address
