"""Model files of `build_model`: they follow the pruning settings, and a limit on their bytes is met."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.model import file as modelfile
from scenelet.training.compression import build_model as build_module
from scenelet.training.compression.compress import compress
from scenelet.training.train import train

SETTINGS = ["schedule.epochs=2", "prune.epochs=2", 'split.fold="1"', "network.width=16"]


def test_build_model_max_bytes_of_the_recipe_is_met(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    max_bytes = ["prune.max_bytes=14000", "prune.dtype=fp16", "prune.sparsity=0"]
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, *max_bytes])
    train(tone_set, tmp_path / "run", config)
    result = compress(tmp_path / "run", tmp_path / "m.scn")
    assert result["bytes"] == (tmp_path / "m.scn").stat().st_size <= 14_000
    provenance = modelfile.read_model(tmp_path / "m.scn").provenance
    assert provenance["fine_tuning_epochs"] == 2
    assert provenance["prune"]["sparsity"] == result["sparsity"] > 0
    assert provenance["prune"]["max_bytes"] == 14_000


def test_build_model_int8_recipe_without_pruning_is_fine_tuned(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, "prune.sparsity=0", "prune.dtype=int8"])
    train(tone_set, tmp_path / "run", config)
    result = compress(tmp_path / "run", tmp_path / "m.scn")
    assert (result["dtype"], result["sparsity"]) == ("int8", 0)
    assert modelfile.read_model(tmp_path / "m.scn").provenance["fine_tuning_epochs"] == 2


def add_note(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Add text to the results of every measured file, as if its digits took more bytes than the trained network's."""
    results = build_module._results

    def with_note(dense: Any, compressed: Any, threshold: Any) -> dict[str, Any]:
        note = bytes(np.random.default_rng(0).integers(35, 91, count, np.uint8)).decode()
        return results(dense, compressed, threshold) | ({} if dense is compressed else {"note": note})

    monkeypatch.setattr(build_module, "_results", with_note)


def test_build_model_results_of_many_digits_fit_too(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tone_set, tmp_path / "run", load_recipe("paper_short", [*tiny_settings, *SETTINGS, "prune.epochs=0"]))
    sizes = []
    for count in (0, 200, 20_000):
        add_note(monkeypatch, count)
        if count == 20_000:
            with pytest.raises(UsageError, match=r"^14,000 bytes are out of reach: even with"):
                compress(tmp_path / "run", tmp_path / "m.scn", max_bytes=14_000, dtype="int8")
            continue
        result = compress(tmp_path / "run", tmp_path / "m.scn", max_bytes=14_000, dtype="int8")
        assert 13_000 < result["bytes"] == (tmp_path / "m.scn").stat().st_size <= 14_000
        sizes.append(result["sparsity"])
    assert sizes[0] < sizes[1]
    assert (tmp_path / "m.scn").stat().st_size <= 14_000  # the refused compression left the file alone


def test_build_model_provenance_names_changed_mixing_and_loss(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    """Fine-tune one run in two ways. The file says how training and fine-tuning mixed."""
    train(tone_set, tmp_path / "run", load_recipe("paper_short", [*tiny_settings, *SETTINGS, "prune.epochs=1"]))
    provenance = []
    for changes in ([], ["prune.seed=1", "mixing.mixup_alpha=0.7", "loss.label_smoothing=0.1"]):
        compress(tmp_path / "run", tmp_path / "m.scn", settings=changes)
        provenance.append(modelfile.read_model(tmp_path / "m.scn").provenance)
    plain, changed = provenance
    assert plain["mixing"] == changed["mixing"]
    assert changed["finetuning_mixing"] == {**plain["mixing"], "mixup_alpha": 0.7}
    assert changed["finetuning_loss"] == {**plain["loss"], "label_smoothing": 0.1}
    assert changed["prune"]["seed"] == 1
    assert "finetuning_mixing" not in plain
