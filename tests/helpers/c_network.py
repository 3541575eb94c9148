"""The exported network, compiled and loaded into this process."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from helpers.c_programs import require, run
from scenelet.export.c.network import network_files
from scenelet.export.fused.int8_network import Int8Network
from scenelet.model.scene_model import SceneModel

FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-O1")


def write_sources(model: SceneModel, int8: Int8Network | None, folder: Path) -> None:
    """Write the sources of a network into a folder."""
    for name, text in network_files(model, int8).items():
        (folder / name).write_text(text, encoding="utf-8")


def load(folder: Path, compiler: str, dtype: type) -> Callable[..., np.ndarray]:
    """Compile the sources in a folder; return a function from a window (n_mels, frames, channels) to the arena.

    The function fills the arena with the byte `poison` and runs the network.
    """
    require(compiler)
    sources = [path for path in folder.glob("*.c") if path.name.startswith(("scenelet_", "model_"))]
    run(compiler, *FLAGS, "-shared", "-fPIC", *sources, "-o", folder / "network.so", "-lm")
    library = ctypes.CDLL(str(folder / "network.so"))
    header = (folder / "model_network.h").read_text()
    sizes = {name: int(size) for name, size in re.findall(r"#define SCENELET_(\w+) (\d+)\n", header)}
    for function in (library.scenelet_network_input, library.scenelet_run):
        function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

    def run_window(window: np.ndarray, poison: int = 0x55) -> np.ndarray:
        arena = np.full(sizes["ARENA"] * np.dtype(dtype).itemsize, poison, np.uint8).view(dtype)
        begin = (library.scenelet_network_input(arena.ctypes.data) - arena.ctypes.data) // arena.itemsize
        assert window.size == sizes["INPUT_NUMBERS"]
        arena[begin : begin + window.size] = window.ravel()
        library.scenelet_run(arena.ctypes.data)
        return arena

    return run_window
