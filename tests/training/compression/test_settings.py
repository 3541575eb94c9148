"""Settings of `compress`: changes are checked, and one without an effect is refused."""

from typing import Any

import pytest

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.training.compression.settings import compress_settings, read_changes


@pytest.mark.parametrize("name", ["pruned_a", "pruned_b", "pruned_c", "pruned_d"])
def test_compress_settings_make_the_pruned_recipes_from_one_run(name: str) -> None:
    trained, wanted = load_recipe("paper"), load_recipe(name)
    differences = {
        f"prune.{key}": value
        for key, value in wanted.prune.model_dump().items()
        if value != getattr(trained.prune, key)
    }
    assert bool(differences) == (name != "pruned_a")
    assert compress_settings(trained, read_changes(differences)) == wanted


def test_compress_settings_changes_mixing_and_loss() -> None:
    changes = ["mixing.mixup_alpha=0.5", "loss.gamma=2", "prune.epochs=7", "prune.seed=3"]
    config = compress_settings(load_recipe("paper"), read_changes(changes))
    assert (config.mixing.mixup_alpha, config.loss.gamma) == (0.5, 2)
    assert (config.prune.epochs, config.prune.seed) == (7, 3)
    assert config.schedule == load_recipe("paper").schedule


def test_compress_settings_option_and_setting_are_the_same() -> None:
    for options, changes in (
        ({"sparsity": 0.3}, ["prune.sparsity=0.3"]),
        ({"max_bytes": 9000}, ["prune.max_bytes=9000"]),
        ({"max_bytes": 9000, "dtype": "int4"}, ["prune.max_bytes=9000", "prune.dtype=int4"]),
        ({"ramp": 0.5}, ["prune.ramp_fraction=0.5"]),
        ({"sparsity": 0.0}, ["prune.sparsity=0"]),
    ):
        for config in (RunConfig(), load_recipe("paper", ["prune.max_bytes=5000", "prune.dtype=auto"])):
            assert compress_settings(config, read_changes(**options)) == compress_settings(
                config, read_changes(changes)
            )


def test_compress_settings_without_pruning_or_rounding_need_no_epochs() -> None:
    assert compress_settings(RunConfig(), read_changes(sparsity=0.0)).prune.epochs == 0
    assert compress_settings(RunConfig(), read_changes(sparsity=0.0, dtype="int8")).prune.epochs == 200
    assert (
        compress_settings(
            RunConfig(), read_changes(["prune.epochs=0", "prune.ramp_fraction=0"], sparsity=0.0)
        ).prune.epochs
        == 0
    )
    assert compress_settings(RunConfig(), {}) == RunConfig()


@pytest.mark.parametrize(
    ("recipe", "changes", "options", "match"),
    [
        ("paper", [], {"sparsity": 1.5}, r"^--sparsity 1\.5: give a fraction, 0\.6 for 60 %$"),
        ("paper", [], {"sparsity": float("nan")}, r"^--sparsity nan: give a fraction"),
        ("paper", [], {"ramp": 2.0}, r"^--ramp 2\.0: give a fraction"),
        ("paper", [], {"max_bytes": 0}, r"^--max-bytes 0: give a positive number of bytes"),
        ("paper", [], {"dtype": "auto"}, "dtype 'auto' needs max_bytes"),
        ("paper", [], {"sparsity": 0.5, "max_bytes": 9000}, "give a sparsity or max_bytes, not both"),
        ("paper", ["prune.max_bytes=9000"], {"sparsity": 0.5}, "give a sparsity or max_bytes, not both"),
        ("paper", ["prune.sparsity=0.5"], {"sparsity": 0.5}, r"^--sparsity and --set prune\.sparsity both change"),
        ("paper", ["prune.sparsity=60"], {}, r"^compress: prune\.sparsity is 60; it must be below 1"),
        ("paper", ["prune.epoch=20"], {}, r"unknown setting 'prune\.epoch'; did you mean 'prune\.epochs'"),
        ("paper", ["epochs=20"], {}, r"unknown setting 'epochs'; did you mean schedule\.epochs or prune\.epochs"),
        ("paper", ["prune.epochs"], {}, "write it as KEY=VALUE"),
        ("paper", ["network.width=8"], {}, r"^--set network\.width: belongs to the trained network; compress changes"),
        ("paper", ["seed=1"], {}, r"^--set seed: belongs to the trained network"),
        ("paper", ["mixing.mixup_alpha=1", "prune.mixing=none"], {}, "add --set prune.mixing=as_trained"),
        ("default", ["mixing.mixup=false", "prune.mixing=as_trained"], {}, "add --set mixing.epoch_fraction=1"),
        ("pruned_d", ["loss.gamma=2"], {}, "add --set prune.loss=as_trained"),
        ("paper", ["loss.gamma=2", "prune.epochs=0"], {}, r"^loss\.gamma needs fine-tuning, and prune\.epochs is 0"),
        (
            "paper",
            ["mixing.mixup=false"],
            {"sparsity": 0.0},
            r"^mixing\.mixup needs fine-tuning, and nothing is pruned or",
        ),
        (
            "paper",
            ["prune.epochs=20"],
            {"sparsity": 0.0},
            r"^prune\.epochs needs fine-tuning, and nothing is pruned or",
        ),
        ("paper", ["prune.epochs=0", "prune.seed=1"], {}, r"^prune\.seed needs fine-tuning, and prune\.epochs is 0"),
        ("paper", ["prune.epochs=0"], {"ramp": 0.5}, r"^--ramp needs fine-tuning, and prune\.epochs is 0"),
        ("paper", [], {"ramp": 0.5, "sparsity": 0.0}, "^--ramp prunes step by step, and nothing is pruned"),
        ("default", ["mixing.mixup_domain=power", "mixing.mixup_alpha=-1"], {}, r"mixing\.mixup_alpha"),
    ],
)
def test_compress_settings_refuse_with_a_sentence(
    recipe: str, changes: list[str], options: dict[str, Any], match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        compress_settings(load_recipe(recipe), read_changes(changes, **options))
