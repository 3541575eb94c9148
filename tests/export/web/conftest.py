"""onnxruntime-web for the tests that open a page."""

import os
from pathlib import Path

import pytest

from scenelet.export.web.onnxruntime_web import PACKAGE_FILE, VERSION, WebRuntime, load_runtime
from scenelet.utils.cache import cache_folder

GIVEN = os.environ.get("SCENELET_ONNXRUNTIME_WEB")
CACHED = cache_folder() / PACKAGE_FILE  # of the user, found before the tests get a cache of their own


@pytest.fixture(scope="session")
def runtime() -> WebRuntime:
    """The real runtime; skips the test where it was not downloaded."""
    path = Path(GIVEN) if GIVEN else CACHED
    if not path.exists():
        pytest.skip(
            f"onnxruntime-web {VERSION} is neither cached nor in SCENELET_ONNXRUNTIME_WEB (`make onnxruntime-web`)"
        )
    return load_runtime(path)
