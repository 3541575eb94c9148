"""`scenelet info FOLDER`: a comparison of models, and a plot of accuracy over size."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.cli.info import info
from scenelet.cli.options import Format
from scenelet.errors import ModelFileError, UsageError
from scenelet.evaluation.size_plot import plot_sizes
from scenelet.model.costs import macs
from scenelet.model.file import write_model
from scenelet.model.sizes import sizes
from scenelet.model.summary import ModelSummary
from scenelet.utils.console import quiet

FIGURES = {"clips": 80, "accuracy": 0.8, "macro_accuracy": 0.75, "log_loss": 0.5}
PNG = b"\x89PNG"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model measured on test, one on validation alone, and one that was not measured, in a folder of its own."""
    root = tmp_path / "models"
    (root / "deep").mkdir(parents=True)
    test = {"test": FIGURES, "validation": FIGURES | {"macro_accuracy": 0.9}}
    for name, results in {
        "a": {"compressed": test, "dense": {"test": FIGURES | {"macro_accuracy": 0.99}}},
        "b": {"compressed": {"validation": FIGURES | {"macro_accuracy": 0.625}}},
        "deep/c": {},
    }.items():
        write_model(changed(tiny_model(), results=results), root / f"{name}.scn")
    return root


def rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    info(str(folder), Format.json)
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_info_folder_has_a_row_per_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, held = rows(folder, capsys), tiny_model()
    assert [row["name"] for row in found] == ["a", "b", "deep/c"]
    assert [(row["accuracy"], row["subset"]) for row in found] == [(0.75, "test"), (0.625, "validation"), (None, "")]
    for row in found:
        disk = (folder / f"{row['name']}.scn").stat().st_size
        assert row["disk_bytes"] == disk
        assert row["parameter_bytes"] == sizes(held, disk)["dcase2024"]
        assert row["macs_per_second"] == round(macs(held.nodes, held.array_shapes, held.input_shape) / 0.2)


def test_info_folder_table_names_the_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info(str(folder))
    head, *lines = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", head) == ["model", "disk, kB", "2024 rule, kB", "M MAC/s", "accuracy, %"]
    ends = [re.split(r"\s{2,}", line)[4:] for line in lines]
    assert ends == [["75.00"], ["62.50", "(validation)"], ["not known"]]
    assert len({line.index(end[0]) + len(end[0]) for line, end in zip(lines, ends, strict=True)} | {len(head)}) == 1


@pytest.mark.parametrize("results", [{"compressed": 3}, {"compressed": {"test": {"macro_accuracy": "much"}}}])
def test_info_folder_invalid_results_are_unknown(
    folder: Path, results: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(changed(tiny_model(), results=results), folder / "a.scn")
    assert rows(folder, capsys)[0]["accuracy"] is None


def test_info_folder_names_unreadable_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.scn").write_bytes((folder / "a.scn").read_bytes()[:-5])
    (folder / "d.scn").mkdir()
    with quiet():
        info(str(folder))
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert [line.split(": ")[:2] for line in err.splitlines()] == [["left out", str(folder / "broken.scn")]]
    for path in folder.rglob("*.scn"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="none of its 4 model files can be read"):
        info(str(folder))
    with pytest.raises(ModelFileError, match="holds no model files"):
        info(str(folder / "d.scn"))


def test_info_folder_skips_hidden_and_environment_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(folder, capsys)
    for name in (".cache", "env/lib/site-packages", "models/.tried"):
        (folder / name).mkdir(parents=True)
        shutil.copy(folder / "a.scn", folder / name / "copy.scn")
    shutil.copy(folder / "a.scn", folder / ".hidden.scn")
    (folder / "env" / "pyvenv.cfg").touch()
    assert rows(folder, capsys) == before
    (folder / "env" / "pyvenv.cfg").unlink()
    assert len(rows(folder, capsys)) == len(before) + 1


def test_info_plot_is_written_and_says_what_is_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "sizes.png"
    info(str(folder), plot=plot)
    assert plot.read_bytes().startswith(PNG)
    assert capsys.readouterr().err == f"written: {plot}; left out: 1 model of unknown accuracy\n"
    for refused, match in ((tmp_path / "sizes.pdf", r"ends in \.png"), (tmp_path / "none" / "a.png", "none")):
        with pytest.raises(Exception, match=match):
            info(str(folder), plot=refused)
        assert not refused.exists()
    with pytest.raises(UsageError, match="is not a folder"):
        info(str(folder / "a.scn"), plot=plot)
    for name in ("a", "b"):
        (folder / f"{name}.scn").unlink()
    with pytest.raises(UsageError, match="no model file here stores an accuracy"):
        info(str(folder), plot=tmp_path / "other.png")


@pytest.mark.parametrize("bytes_", [(280_000, 320_000), (3_000, 7_000), (495_000, 495_001), (50_000, 2_000_000)])
def test_info_plot_has_numbers_on_its_axis(bytes_: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    drawn = []

    def keep(self: Figure, *arguments: Any, **options: Any) -> None:
        self.canvas.draw()
        (axes,) = self.axes
        low, high = axes.get_xlim()
        ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        drawn.extend(text.get_text() for tick, text in ticks if low <= tick <= high and text.get_text())

    monkeypatch.setattr(Figure, "savefig", keep)
    plot_sizes([ModelSummary(f"a$\\foo$ {size}", size, size, 1, 0.5, "test") for size in bytes_])
    assert drawn
