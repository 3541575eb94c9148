"""Precision and device of a training."""

import json
from pathlib import Path
from typing import get_args

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.training.device import device_name
from scenelet.training.loop import LIGHTNING_PRECISION
from scenelet.training.precision import Precision, has_native_bf16, resolve_precision


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True, "avx512_bf16": False}, False)],
)
def test_has_native_bf16_follows_cpu_capabilities(
    capabilities: dict[str, bool], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert has_native_bf16() is native
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not has_native_bf16()


def test_has_native_bf16_with_old_pytorch_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert has_native_bf16() is False


def test_resolve_precision_of_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    for native in (True, False):
        monkeypatch.setattr("scenelet.training.precision.has_native_bf16", lambda native=native: native)
        assert resolve_precision("auto") == ("bf16" if native else "fp32")
        assert (resolve_precision("fp32"), resolve_precision("bf16")) == ("fp32", "bf16")


@pytest.mark.parametrize(
    ("capability", "native", "auto"),
    [((9, 0), True, "bf16"), ((7, 5), False, "fp16"), ((7, 0), False, "fp16"), ((6, 1), False, "fp32")],
)
def test_resolve_precision_on_cuda_follows_the_generation(
    capability: tuple[int, int], native: bool, auto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert resolve_precision("auto") == auto
    assert [resolve_precision(name) for name in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]


def test_resolve_precision_of_fp16_without_cuda_is_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_precision("fp16") == "fp32"


def test_run_config_takes_the_precisions_that_lightning_gets() -> None:
    assert set(get_args(Precision)) == set(get_args(RunConfig.model_fields["precision"].annotation))
    assert set(get_args(Precision)) == {"auto", *LIGHTNING_PRECISION}


def test_device_name_is_that_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    assert device_name() == "A GPU"


def test_train_records_precision_and_device(finished_run: tuple[Path, RunConfig]) -> None:
    versions = json.loads((finished_run[0] / "run.json").read_text())["versions"]
    assert (versions["precision"], versions["device"]) == ("fp32", device_name())
