"""Settings are checked, listed, and described."""

from pathlib import Path

import pytest

from scenelet.config import RunConfig, Settings, build_config, setting_keys
from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError


def test_setting_keys_lists_every_setting() -> None:
    assert {"seed", "schedule.epochs", "features.n_mels", "prune.sparsity"} <= set(setting_keys())


def test_every_setting_has_a_description() -> None:
    for name, field in RunConfig.model_fields.items():
        if isinstance(field.default, Settings):
            section = type(field.default).model_fields
            assert not [f"{name}.{key}" for key, inner in section.items() if not inner.description]
        else:
            assert field.description, name


def test_build_config_unknown_key_names_source_and_closest() -> None:
    with pytest.raises(UsageError, match=r"^mine: unknown setting 'schedule.epoch'; did you mean 'schedule.epochs'"):
        build_config({"schedule": {"epoch": 3}}, "mine")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("schedule.epochs=many", "--set schedule.epochs=many: schedule.epochs is 'many'; it must be an integer"),
        ("schedule.epochs=0", "--set schedule.epochs=0: schedule.epochs is 0; it must be at least 1"),
        ("schedule.learning_rate=0", "schedule.learning_rate is 0; it must be above 0"),
        ("mixing.mixup=sometimes", "mixing.mixup is 'sometimes'; it must be true or false"),
        ("split.test_fraction=nan", "split.test_fraction is nan; it must be a finite number"),
        ("split.percent=7", "split.percent is 7; it must be one of 5, 10, 25, 50, 100"),
        ("loss.activation=sotfmax", "it must be one of sigmoid, softmax; did you mean 'softmax'?"),
        ("trainer.epoch=3", "--set trainer.epoch=3: unknown setting 'trainer.epoch'; did you mean 'schedule.epochs'?"),
        ("epochs=3", "unknown setting 'epochs'; did you mean schedule.epochs or prune.epochs?"),
        ("schedule=3", "unknown setting 'schedule'; it is a section with the settings schedule.epochs, "),
        ("checkpoint=validation", "--set checkpoint=validation: checkpoint = 'validation' needs split.validation"),
        ("waveform.speed=0.1", "waveform.speed needs waveform.train = true"),
        ("waveform.speed=2", "waveform.speed is 2; it must be at most 0.5"),
        ("waveform.impulse_responses=rooms", "waveform.impulse_responses needs waveform.train = true"),
        ("waveform.max_snr_db=5", "waveform.min_snr_db 10 is above waveform.max_snr_db 5"),
    ],
)
def test_invalid_change_names_the_option_and_what_is_valid(change: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("default", [change])
    assert str(caught.value).startswith(f"--set {change}: ")
    assert words in str(caught.value)
    assert "recipe" not in str(caught.value)


def test_invalid_option_is_named_and_a_recipes_own_error_is_not_an_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--seed -1: seed is -1; it must be at least 0$"):
        load_recipe("default", [], {"seed": -1})
    with pytest.raises(UsageError, match=r"^--set split\.city=x, --fold 1: hold out a fold or a city, not both$"):
        load_recipe("default", ["split.city=x"], {"split.fold": "1"})
    recipe = tmp_path / "mine.toml"
    recipe.write_text('base = "default"\n[schedule]\nepochs = "few"\n')
    with pytest.raises(UsageError, match=r"^recipe .*mine\.toml: schedule\.epochs is 'few'; it must be an integer$"):
        load_recipe(str(recipe), ["seed=1"])


def test_impulse_responses_need_a_probability() -> None:
    changes = ["waveform.train=true", "waveform.impulse_responses=rooms"]
    with pytest.raises(UsageError, match=r"waveform\.impulse_responses needs waveform\.response_probability above 0"):
        load_recipe("default", changes)
    assert load_recipe("default", [*changes, "waveform.response_probability=0.5"]).waveform.impulse_responses == "rooms"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["waveform.max_rt60_seconds=0.05"], r"waveform\.max_rt60_seconds 0\.05 is below 0\.1; 0 is for no rooms"),
        (["waveform.max_rt60_seconds=0", "waveform.microphone_db=0"], r"response_probability needs .* above 0"),
    ],
)
def test_synthetic_responses_need_a_room_or_a_microphone(changes: list[str], words: str) -> None:
    used = ["waveform.train=true", "waveform.response_probability=0.5"]
    with pytest.raises(UsageError, match=words):
        load_recipe("default", [*used, *changes])
    assert load_recipe("default", [*used, "waveform.max_rt60_seconds=0"]).waveform.microphone_db == 6


def test_build_config_defaults_are_valid() -> None:
    assert build_config({}, "empty") == RunConfig()


def test_standardization_by_device_refuses_waveforms() -> None:
    with pytest.raises(UsageError, match=r"maps cached features, and waveform\.train computes others"):
        load_recipe("default", ["waveform.train=true", "data.standardize=device"])
