"""Compilation of the C++ files with the compiler of the machine. The library is built once and cached."""

import contextlib
import contextvars
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenelet.errors import OutputError
from scenelet.utils.cache import cache_folder, exposed, make_cache_folder
from scenelet.utils.console import print_warning
from scenelet.utils.files import fsync_file
from scenelet.utils.parallel import cpu_count

SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
HEADERS = sorted(Path(__file__).parent.glob("*.h"))
COMPILERS = ("c++", "g++", "clang++")
BUILD_SECONDS = 120
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC")
NARROW = ("-mno-avx512f",)
"""Additional flags if PyTorch uses AVX2 only, on an older processor or because `ATEN_CPU_CAPABILITY` says so."""

# PyTorch counts the CPUs of the machine, also where a container may use only some of their time
torch.set_num_threads(min(torch.get_num_threads(), cpu_count()))
if hasattr(os, "register_at_fork"):
    # A forked process inherits the pool of OpenMP without its threads. One thread needs no pool.
    os.register_at_fork(after_in_child=functools.partial(torch.set_num_threads, 1))


_in_pytorch = contextvars.ContextVar("in_pytorch", default=False)


@contextlib.contextmanager
def only_pytorch() -> Iterator[None]:
    """Compute with PyTorch's own layers in this context, so that tools that count operations see each layer.

    >>> with only_pytorch():
    ...     is_available()
    False
    """
    token = _in_pytorch.set(True)
    try:
        yield
    finally:
        _in_pytorch.reset(token)


def is_available() -> bool:
    """Return whether a layer may call compiled functions: there are some, and the caller is not in `only_pytorch`."""
    return not _in_pytorch.get() and library() is not None


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled functions. Return None without a working compiler, or if `SCENELET_COMPILE` is 0."""
    compiler = _compiler()
    if compiler is None or os.environ.get("SCENELET_COMPILE") == "0":
        return None
    folder = cache_folder() / "compiled"
    try:
        make_cache_folder(folder)
        if (part := exposed(folder)) is not None:
            print_warning(
                f"{part}: another user owns it or can write to it, so no compiled code is used from the cache below it"
                " and training is slower; set SCENELET_CACHE to a folder of your own"
            )
            return None
        return ctypes.CDLL(str(build(compiler, folder)))
    except (OSError, OutputError, subprocess.SubprocessError):
        return None


def call(name: str, *arguments: Tensor | ctypes.Structure | int | None) -> None:
    """Call a compiled function. Tensors are passed by address, structures by reference, and None as a null pointer."""
    values: list[Any] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            values.append(ctypes.c_void_p(argument.data_ptr()))
        else:
            values.append(ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else argument)
    functions = library()
    assert functions is not None  # the callers have checked this
    functions[name](*values)


def build(compiler: str, folder: Path) -> Path:
    """Return the path of the library in `folder`, and build the library if it does not exist.

    The file name contains a hash of the source, the compiler, PyTorch's version and the processor. A file that another
    user owns or can write is built again.

    Args:
        compiler: path of the compiler.
        folder: an existing folder that only this user can write.

    Raises:
        OSError: the folder cannot be written.
        subprocess.SubprocessError: the compiler fails or takes too long.
    """
    flags = (*FLAGS, *(NARROW if torch.backends.cpu.get_cpu_capability() == "AVX2" else ()))
    texts = [path.read_text() for path in (*SOURCES, *HEADERS)]
    inputs = [*texts, compiler, *flags, torch.__version__, platform.machine(), _processor()]
    built = folder / f"kernels-{hashlib.sha256(chr(0).join(inputs).encode()).hexdigest()[:16]}.so"
    if not built.exists() or exposed(built) is not None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            linked = Path(scratch) / "kernels.so"
            objects = [Path(scratch) / f"{source.stem}.o" for source in SOURCES]
            for source, compiled in zip(SOURCES, objects, strict=True):
                _run(compiler, *flags, "-c", source, "-o", compiled)
            _run(compiler, "-shared", *objects, *_openmp(), "-o", linked)
            linked.chmod(0o700)
            fsync_file(linked)
            linked.replace(built)
    return built


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=BUILD_SECONDS)


def _compiler() -> str | None:
    chosen = os.environ.get("CXX")
    return next((path for name in ([chosen] if chosen else COMPILERS) if (path := shutil.which(name))), None)


def _openmp() -> list[str | Path]:
    """Return the linker's argument for OpenMP: PyTorch's own copy if there is one, to avoid two thread pools."""
    libraries = sorted((Path(torch.__file__).parent / "lib").glob("lib*omp*.so*"))
    return [libraries[0]] if libraries else ["-fopenmp"]


def _processor() -> str:
    """Describe the processor, which `-march=native` depends on. Several machines may share a cache."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}))
