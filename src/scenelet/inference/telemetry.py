"""Import of ONNX Runtime and OpenVINO without their telemetry.

By default both report their use to their makers. ONNX Runtime does so from 1.29 on; on Linux and macOS it sends an
identifier of the machine, which it stores in the user's home. OpenVINO reports whenever it is imported.
"""

import importlib
import os
import sys
from types import ModuleType

REPORTER = "openvino_telemetry"


def import_runtime(name: str) -> ModuleType:
    """Import the module `onnxruntime` or `openvino`.

    Raises:
        ModuleNotFoundError: the module is not installed.
    """
    if name == "openvino":
        return _import_openvino()
    module = importlib.import_module("onnxruntime")
    if os.environ.get("ORT_DISABLE_TELEMETRY") == "1":  # set by `scenelet/__init__.py`; Windows ignores it
        module.disable_telemetry_events()
    return module


def _import_openvino() -> ModuleType:
    """Import OpenVINO while its reporting package seems to be missing, since it has no switch for its telemetry."""
    if "openvino" in sys.modules or REPORTER in sys.modules:
        return importlib.import_module("openvino")
    sys.modules[REPORTER] = None  # type: ignore[assignment]  # marks a module that cannot be imported
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[REPORTER]
