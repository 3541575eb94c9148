"""Compilation of the fused norm: cached, and optional."""

import shutil
from pathlib import Path

import pytest
import torch

from scenelet.nn.cpp_build import COMPILERS, build, library
from scenelet.nn.norm import BatchNorm


def test_library_is_none_if_the_compiler_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCENELET_CACHE", str(tmp_path))
    library.cache_clear()
    try:
        for compiler in ("false", "no-such-compiler"):
            monkeypatch.setenv("CXX", compiler)
            library.cache_clear()
            assert library() is None
        assert not list(tmp_path.rglob("*.so"))
        y = BatchNorm(4, relu=True)(torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last))
        assert float(y.detach().min()) == 0
    finally:
        monkeypatch.undo()
        library.cache_clear()


def test_library_is_none_if_compilation_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENELET_COMPILE", "0")
    library.cache_clear()
    try:
        assert library() is None
    finally:
        monkeypatch.undo()
        library.cache_clear()


@pytest.mark.skipif(library() is None, reason="no C++ compiler was found")
def test_build_reuses_the_library(tmp_path: Path) -> None:
    compiler = next(path for name in COMPILERS if (path := shutil.which(name)))
    first = build(compiler, tmp_path)
    built_at = first.stat().st_mtime_ns
    assert build(compiler, tmp_path) == first
    assert first.stat().st_mtime_ns == built_at
    assert list(tmp_path.iterdir()) == [first]
