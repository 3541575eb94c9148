"""Builds `fused.cpp` with the machine's C++ compiler, once, and loads it."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from scenelet.utils.files import cache_folder, fsync_file

SOURCE = Path(__file__).with_name("fused.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC")


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or None: no compiler, one that cannot, or `SCENELET_COMPILE=0`."""
    compiler = _compiler()
    if compiler is None or os.environ.get("SCENELET_COMPILE") == "0":
        return None
    try:
        return ctypes.CDLL(str(build(compiler, cache_folder() / "compiled")))
    except (OSError, subprocess.SubprocessError):
        return None


def build(compiler: str, folder: Path) -> Path:
    """Path of the built library in `folder`, building it when it is not there.

    Raises:
        OSError: the folder cannot be written.
        subprocess.SubprocessError: the compiler failed.
    """
    made_of = [SOURCE.read_text(), compiler, *FLAGS, torch.__version__, platform.machine(), _processor()]
    built = folder / f"fused-{hashlib.sha256(chr(0).join(made_of).encode()).hexdigest()[:16]}.so"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            code, linked = Path(scratch) / "fused.o", Path(scratch) / "fused.so"
            _run(compiler, *FLAGS, "-c", SOURCE, "-o", code)
            _run(compiler, "-shared", code, *_openmp(), "-o", linked)
            fsync_file(linked)
            linked.replace(built)
    return built


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def _compiler() -> str | None:
    chosen = os.environ.get("CXX")
    return next((path for name in ([chosen] if chosen else COMPILERS) if (path := shutil.which(name))), None)


def _openmp() -> list[str | Path]:
    """PyTorch's own OpenMP where it brings one: two pools of threads in one process get in each other's way."""
    found = sorted((Path(torch.__file__).parent / "lib").glob("lib*omp*.so*"))
    return [found[0]] if found else ["-fopenmp"]


def _processor() -> str:
    """What `-march=native` looks at; a cache may be shared by several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}))
