"""Settings are checked, listed, and described."""

import pytest

from scenelet.config import RunConfig, Settings, build_config, setting_keys
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


def test_build_config_defaults_are_valid() -> None:
    assert build_config({}, "empty") == RunConfig()
