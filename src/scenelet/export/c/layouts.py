"""Layouts of the C sources: a plain folder with a Makefile, an Arduino library, an ESP-IDF project."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Literal

from scenelet import __version__

Layout = Literal["c", "arduino", "esp-idf"]
ONLY_PLAIN = ("Makefile", "listen.c", "golden_", "test_", "qemu_")
"""Beginnings of the names of files that only the plain folder has: programs for a PC, tests and their data."""
SOURCE_FOLDERS: dict[Layout, str] = {"c": ".", "arduino": "src", "esp-idf": "components/scenelet"}
"""Folder of the sources in each layout."""
EXAMPLES = ("examples/Listen/Listen.ino", "main/main.c")
"""Example programs, whose pins users set."""

LIBRARY_PROPERTIES = """\
name=scenelet
version={version}
author=the author of the model
maintainer=the author of the model
sentence=Sound classifier: {labels}.
paragraph=Takes samples and gives labels. It contains the model, its features and its network in plain C.
category=Data Processing
url=
architectures=*
includes=scenelet.h
"""
PROJECT_CMAKE = """\
cmake_minimum_required(VERSION 3.16)
include($ENV{IDF_PATH}/tools/cmake/project.cmake)
project(listen)
"""
MAIN_CMAKE = 'idf_component_register(SRCS "main.c" REQUIRES scenelet esp_driver_i2s esp_driver_gpio)\n'
COMPONENT_CMAKE = """\
idf_component_register(SRCS {sources} INCLUDE_DIRS ".")
target_compile_options(${{COMPONENT_LIB}} PRIVATE -O2)
"""
SDK_DEFAULTS = """\
# external RAM if the module has it; modules with octal RAM also need CONFIG_SPIRAM_MODE_OCT=y
CONFIG_SPIRAM=y
CONFIG_SPIRAM_IGNORE_NOTFOUND=y
CONFIG_SPIRAM_USE_CAPS_ALLOC=y
# room for larger models
CONFIG_PARTITION_TABLE_SINGLE_APP_LARGE=y
"""


def lay_out(layout: Layout, sources: Mapping[str, str], readme: str, labels: tuple[str, ...]) -> dict[str, str]:
    """Return the files of an export by their path in its folder.

    Args:
        layout: "c" for a plain folder, "arduino" for a library with an example, "esp-idf" for a project with a
            component.
        sources: the C sources by name.
        readme: the text of README.md.
        labels: the model's labels.

    >>> sorted(lay_out("arduino", {"scenelet.c": "", "test_network.c": ""}, "", ("dog",)))
    ['README.md', 'examples/Listen/Listen.ino', 'library.properties', 'src/scenelet.c']
    """
    if layout == "c":
        return {**sources, "README.md": readme}
    library = {name: text for name, text in sources.items() if not name.startswith(ONLY_PLAIN)}
    example = resources.files("scenelet.export.c")
    if layout == "arduino":
        names = re.sub(r"[^ -~]", "?", ", ".join(labels))
        return {
            "library.properties": LIBRARY_PROPERTIES.format(version=__version__, labels=names),
            "examples/Listen/Listen.ino": (example / "arduino" / "Listen.ino").read_text(encoding="utf-8"),
            **{f"src/{name}": text for name, text in library.items()},
            "README.md": readme,
        }
    objects = " ".join(f'"{name}"' for name in sorted(library) if name.endswith(".c"))
    return {
        "CMakeLists.txt": PROJECT_CMAKE,
        "sdkconfig.defaults": SDK_DEFAULTS,
        "main/CMakeLists.txt": MAIN_CMAKE,
        "main/main.c": (example / "esp_idf" / "main.c").read_text(encoding="utf-8"),
        "components/scenelet/CMakeLists.txt": COMPONENT_CMAKE.format(sources=objects),
        **{f"components/scenelet/{name}": text for name, text in library.items()},
        "README.md": readme,
    }
