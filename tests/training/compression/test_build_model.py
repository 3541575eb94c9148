"""Model files of `build_model`, which follow the pruning settings of the recipe."""

from pathlib import Path

from scenelet.config.recipes import load_recipe
from scenelet.model import file as modelfile
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
