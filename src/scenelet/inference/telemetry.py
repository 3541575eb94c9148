"""ONNX Runtime and OpenVINO, imported so that they report to nobody.

Left to themselves, both tell their makers that they are used: ONNX Runtime from 1.29 on (from Linux and macOS over the
network, with an identifier of the machine that it keeps in the user's home), OpenVINO whenever it is imported.
"""

import importlib
import os
import sys
from types import ModuleType

REPORTER = "openvino_telemetry"


def import_runtime(name: str) -> ModuleType:
    """The module `onnxruntime` or `openvino`.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if name == "openvino":
        return _openvino()
    module = importlib.import_module("onnxruntime")
    if os.environ.get("ORT_DISABLE_TELEMETRY") == "1":  # set by `scenelet/__init__.py`; Windows does not know it
        module.disable_telemetry_events()
    return module


def _openvino() -> ModuleType:
    """It has no switch of its own, but does without the package that reports where that is not there."""
    if "openvino" in sys.modules or REPORTER in sys.modules:
        return importlib.import_module("openvino")
    sys.modules[REPORTER] = None  # type: ignore[assignment]  # which is how Python marks what cannot be imported
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[REPORTER]
