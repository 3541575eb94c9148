"""Tests of importing runtimes without their telemetry."""

import sys
from types import ModuleType

import pytest

from scenelet.inference.telemetry import REPORTER, import_runtime


def test_import_runtime_turns_onnxruntime_telemetry_off(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    module = ModuleType("onnxruntime")
    module.disable_telemetry_events = lambda: calls.append("off")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")
    assert import_runtime("onnxruntime") is module
    assert calls == ["off"]


def test_import_runtime_keeps_onnxruntime_telemetry_of_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    import_runtime("onnxruntime")  # must not call `disable_telemetry_events`, which this module lacks


def test_import_runtime_restores_openvino_reporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    monkeypatch.delitem(sys.modules, REPORTER, raising=False)
    monkeypatch.setattr("importlib.import_module", lambda name: (name, sys.modules[REPORTER]))
    assert import_runtime("openvino") == ("openvino", None)
    assert REPORTER not in sys.modules
