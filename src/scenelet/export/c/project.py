"""Export of a model as a program in C99: front end, network, and answers to live sound."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from scenelet.export.c.footprint import Footprint, footprint
from scenelet.export.c.frontend import frontend_files
from scenelet.export.c.layouts import FOLDERS, Layout, lay_out
from scenelet.export.c.network import network_files
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.limits import check_exportable
from scenelet.model.scene_model import SceneModel
from scenelet.utils.files import make_folder, replace_files

SOURCES = ("Makefile", "listen.c", "scenelet.c", "scenelet.h")
"""Files in `sources/` that join the front end and the network."""


def write_project(model: SceneModel, name: str, folder: Path, layout: Layout, int8: Int8Network | None = None) -> None:
    """Write the folder of an export. It is complete, or unchanged if there is an error.

    Args:
        model: the content of a `.scn` file.
        name: the model's name, for texts.
        folder: the folder to write to. Other files in it stay.
        layout: see `scenelet.export.c.layouts.lay_out`.
        int8: the model's network in int8; None writes one in float.

    Raises:
        ModelFileError: as `project_files`.
        OutputError: the folder cannot be written.
    """
    files = project_files(model, name, layout, int8)
    for path in files:
        make_folder((folder / path).parent)
    # the sources of the other network may lie there from an export before
    stale = {folder / path for path in project_files(model, name, layout, None)} if int8 is not None else set()
    replace_files({folder / path: text for path, text in files.items()}, stale - {folder / path for path in files})
