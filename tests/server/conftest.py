"""Services for the tests of this folder."""

from collections.abc import Iterator

import pytest

from helpers.tiny_model import tiny_model
from helpers.web_service import run_service
from scenelet.inference.classifier import Classifier, load


@pytest.fixture(scope="session")
def esc10_service() -> Iterator[str]:
    """URL of a service with the pretrained model."""
    with run_service(load("esc10", callers=2), "esc10") as address:
        yield address


@pytest.fixture
def tiny_service(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a service with a tiny model; its limits are the test's parameter, if there is one."""
    with run_service(Classifier(tiny_model(), callers=2), "tiny", getattr(request, "param", None)) as address:
        yield address
