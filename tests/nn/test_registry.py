"""Networks by name."""

import pytest
from torch import nn

from scenelet.errors import UsageError
from scenelet.nn import create_model, list_models, model_settings
from scenelet.nn.registry import register_model


def test_register_model_refuses_a_name_twice() -> None:
    with pytest.raises(ValueError, match="registered already"):
        register_model("shared_resnet")(nn.Identity)


def test_create_model_suggests_a_similar_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'shared_resnet'"):
        create_model("shared_resnett", num_classes=3)


def test_list_models_is_sorted_and_complete() -> None:
    assert list_models() == [
        "bc_resnet",
        "cp_mobile",
        "cp_resnet",
        "dcase2020_baseline",
        "dcase2021_baseline",
        "shared_resnet",
    ]


def test_model_settings_are_those_of_the_class() -> None:
    assert {"num_classes", "in_channels", "stem_stride"} <= model_settings("shared_resnet")
    assert "stem_stride" not in model_settings("cp_resnet")
    with pytest.raises(UsageError, match="no network is named 'x'"):
        model_settings("x")
