"""Tests of `.tflite` files need the packages of the extra `[tflite]`."""

from importlib.util import find_spec

import pytest

from scenelet.export.tflite.file import MICRO, PACKAGES


@pytest.fixture(autouse=True)
def needs_the_extra() -> None:
    """Skip a test if a package is not installed; `tflite-micro` has wheels for Linux on x86-64 only."""
    for package in (*PACKAGES, MICRO):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install '.[tflite]'")
