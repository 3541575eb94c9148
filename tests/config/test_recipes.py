"""Recipes and changes on top of them."""

from pathlib import Path

import pytest

from scenelet.config import NetworkConfig, RunConfig
from scenelet.config.recipes import list_recipes, load_recipe
from scenelet.errors import UsageError


@pytest.mark.parametrize("name", list_recipes())
def test_load_recipe_every_built_in_is_valid(name: str) -> None:
    assert isinstance(load_recipe(name), RunConfig)


def test_load_recipe_paper_has_the_papers_settings() -> None:
    recipe = load_recipe("paper")
    assert recipe.features.log_before_mel is True
    assert recipe.features.a_weighting
    assert (recipe.features.n_channels, recipe.features.n_mels) == (2, 256)
    assert recipe.features.n_frames(recipe.window.samples(recipe.features.sample_rate)) == 431
    assert (recipe.network.width, recipe.network.repeats, recipe.network.sub_bands) == (64, 3, 2)
    assert (recipe.prune.sparsity, recipe.prune.epochs) == (0.6, 200)


def test_load_recipe_changes_are_typed() -> None:
    config = load_recipe("paper_short", ["schedule.epochs=7", "features.channels=stereo", "split.fold=2", "seed=4"])
    assert (config.schedule.epochs, config.features.channels, config.split.fold, config.seed) == (7, "stereo", "2", 4)


def test_load_recipe_fraction_without_a_zero_is_a_number() -> None:
    assert load_recipe("paper_short", ["prune.sparsity=.5"]).prune.sparsity == 0.5


def test_load_recipe_mapping_equals_strings() -> None:
    changes = {"schedule.epochs": 7, "features.channels": "stereo", "network.stem_stride": (2, 4), "split.fold": "2"}
    written = ["schedule.epochs=7", "features.channels=stereo", "network.stem_stride=[2, 4]", 'split.fold="2"']
    assert load_recipe("paper_short", changes) == load_recipe("paper_short", written)
    for wrong, words in (({"schedule.epoch": 7}, "^settings: unknown setting 'schedule.epoch'"), ({1: 2}, "'1'")):
        with pytest.raises(UsageError, match=words):
            load_recipe("paper_short", wrong)


def test_load_recipe_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seed = 3\n[schedule]\nepochs = 2\n")
    config = load_recipe(str(file), ["seed=5"])
    assert (config.seed, config.schedule.epochs) == (5, 2)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("papr", [], "did you mean 'paper'"),
        ("absent.toml", [], "no such recipe file"),
        ("paper_short", ["schedule.epoch=3"], r"unknown setting 'schedule.epoch'; did you mean 'schedule.epochs'"),
        ("paper_short", ["schedule.epochs"], "KEY=VALUE"),
        ("paper_short", ["=3"], "KEY=VALUE"),
        ("paper_short", ["SCHEDULE.EPOCHS=3"], "did you mean 'schedule.epochs'"),
        ("paper_short", ["schedule.epochs=true"], "schedule.epochs is True; it must be an integer"),
        ("paper_short", ['schedule.epochs="1"'], "schedule.epochs is '1'; it must be an integer"),
        ("paper_short", ["prune.max_bytes=true"], "prune.max_bytes is True; it must be an integer"),
        ("paper_short", ["prune.sparsity=false"], "prune.sparsity is False; it must be a number"),
        ("paper_short", ["features.power=true"], "features.power is True"),
        ("paper_short", ["network.stem_stride=[true, true]"], "stem_stride"),
        ("/dev/null", [], "^/dev/null: is not a recipe file, whose name ends in .toml"),
        ("paper_short", ["schedule.epochs=0"], "schedule.epochs.*it must be at least 1"),
        ("paper_short", ["schedule.epochs=many"], "schedule.epochs"),
        ("paper_short", ["features.a_weighting=true"], "a_weighting needs log_before_mel"),
        ("paper_short", ["features.fmax_hz=20000"], "half the sample rate"),
        ("paper_short", ["checkpoint=validation"], "validation_fraction"),
        ("paper_short", ["window.seconds=0.01"], "shorter than half of features.n_fft"),
        ("paper_short", ["window.hop_seconds=50"], "longer than the window"),
    ],
)
def test_load_recipe_errors_are_one_line(name: str, changes: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_recipe(name, changes)
    assert "\n" not in str(caught.value)


def test_load_recipe_base_is_applied(tmp_path: Path) -> None:
    paper, cutmix, native = (load_recipe(name) for name in ("paper", "paper_cutmix", "paper_48k"))
    assert (cutmix.mixing.cutmix, cutmix.mixing.mixup) == (True, False)
    assert cutmix.model_copy(update={"mixing": paper.mixing}) == paper
    assert native.features.n_frames(native.window.samples(48000)) == 431
    file = tmp_path / "mine.toml"
    file.write_text('base = "paper_short"\n[schedule]\nepochs = 2\n')
    fast = load_recipe("paper_short")
    assert load_recipe(str(file)) == load_recipe("paper_short", ["schedule.epochs=2"]) != fast
    file.write_text('base = "fsat"\n')
    with pytest.raises(UsageError, match="is not a recipe"):
        load_recipe(str(file))
    file.write_text("schedule = 3\n")
    with pytest.raises(UsageError, match="section"):
        load_recipe(str(file), ["schedule.epochs=2"])


def test_load_recipe_other_network_has_its_own_defaults(tmp_path: Path) -> None:
    assert load_recipe("single_network").network.stem_stride == (2, 4)
    other = load_recipe("single_network", ["network.name=bc_resnet", "network.blocks=1"])
    assert other.network == NetworkConfig(name="bc_resnet", blocks=1)
    assert other.schedule == load_recipe("single_network").schedule
    file = tmp_path / "mine.toml"
    file.write_text('base = "low_complexity"\n[network]\nname = "bc_resnet"\nblocks = 1\n')
    assert load_recipe(str(file)).network == other.network
    same = load_recipe("low_complexity", ["network.name=shared_resnet"])
    assert same.network == load_recipe("low_complexity").network.model_copy(update={"name": "shared_resnet"})


def test_load_recipe_bad_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[schedule]\nepoch = 2\n")
    with pytest.raises(UsageError, match=r"mine\.toml: unknown setting 'schedule.epoch'"):
        load_recipe(str(file))
    file.write_text("[schedule\n")
    with pytest.raises(UsageError, match=r"mine\.toml: not valid TOML"):
        load_recipe(str(file))


@pytest.mark.parametrize(
    "change",
    [
        "augment.gain_db=6",
        "augment.filter_augment_db=6",
        "augment.background_probability=0.5",
        "mixing.mixup_domain=power",
    ],
    ids=lambda change: change,
)
def test_load_recipe_gains_need_decibels_of_power(change: str) -> None:
    load_recipe("paper_short", [change])
    for features in ("features.log_before_mel=true", "features.power=1"):
        name = change.partition("=")[0]
        with pytest.raises(UsageError, match=rf": {name}( = 'power')? needs features in decibels of power"):
            load_recipe("paper_short", [change, features])
    load_recipe("paper_short", ["mixing.mixup_domain=power", "mixing.mixup=false", "features.log_before_mel=true"])
