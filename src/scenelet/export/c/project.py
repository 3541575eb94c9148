"""Export of a model as a program in C99: front end, network, and answers to live sound."""

from importlib import resources
from pathlib import Path

from scenelet.export.c.frontend import frontend_files
from scenelet.export.c.layouts import EXAMPLES, SOURCE_FOLDERS, Layout, lay_out
from scenelet.export.c.network import network_files
from scenelet.export.c.readme import readme
from scenelet.export.folders import check_replaceable
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.limits import check_exportable
from scenelet.model.scene_model import SceneModel
from scenelet.utils.files import make_folder, replace_files

SOURCES = ("Makefile", "listen.c", "scenelet.c", "scenelet.h")
"""Files in `sources/` that join the front end and the network."""
OTHER_NETWORK = {
    "int8": ("scenelet_conv_float.c", "scenelet_layers_float.c"),
    "float": ("scenelet_conv_int8.c", "scenelet_layers_int8.c"),
}
"""Files of an export in the other number format, which must not stay in the folder."""


def write_project(
    model: SceneModel, name: str, folder: Path, layout: Layout, int8: Int8Network | None = None
) -> list[Path]:
    """Write an export to a folder, which is complete afterwards, or unchanged if there is an error.

    Args:
        model: the content of a `.scn` file.
        name: the model's name, for texts.
        folder: the folder. Other files in it stay, and so does an example program, which users edit.
        layout: see `scenelet.export.c.layouts.lay_out`.
        int8: the model's network in int8; None writes one in float.

    Returns:
        The example programs that stay as they are, although those of this export differ.

    Raises:
        ModelFileError: as `project_files`.
        OutputError: the folder cannot be written, or has files of the user that the export would replace.
    """
    files = project_files(model, name, layout, int8)
    check_replaceable(folder, files, [f"{place}/scenelet.h" for place in SOURCE_FOLDERS.values()])
    examples = {folder / path: files.pop(path) for path in EXAMPLES if path in files and (folder / path).exists()}
    for path in files:
        make_folder((folder / path).parent)
    sources = folder / SOURCE_FOLDERS[layout]
    stale = [sources / file for file in OTHER_NETWORK["float" if int8 is None else "int8"]]
    replace_files({folder / path: text for path, text in files.items()}, stale)
    return [path for path, text in examples.items() if path.read_bytes() != text.encode()]


def project_files(
    model: SceneModel, name: str, layout: Layout = "c", int8: Int8Network | None = None
) -> dict[str, str]:
    """Return the files of an export by their path in its folder.

    Args:
        model, name, layout, int8: as `write_project`.

    Raises:
        ModelFileError: as `scenelet.export.limits.check_exportable` and `scenelet.export.c.frontend.frontend_files`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> files = project_files(read_model(built_in("esc10")), "esc10", "esp-idf")
    >>> [path for path in files if path.startswith("main/")]
    ['main/CMakeLists.txt', 'main/main.c']
    """
    check_exportable(model)
    folder = resources.files("scenelet.export.c") / "sources"
    sources = {
        **frontend_files(model),
        **network_files(model, int8),
        **{file: (folder / file).read_text(encoding="utf-8") for file in SOURCES},
    }
    return lay_out(layout, sources, readme(model, name, layout, int8 is not None), model.labels)
