"""Parameter counts and shapes of a model."""

import pytest
from pydantic import ValidationError

from helpers.tiny_model import changed, tiny_model
from scenelet.errors import ModelFileError
from scenelet.model.scene_model import TrainingCounts


def test_training_counts_sum_all_kinds_of_parameters() -> None:
    counts = TrainingCounts(conv=100, conv_kept=40, linear=20, linear_kept=10, batch_norm=8, sub_spectral_norm=4)
    assert counts.parameters == 132
    assert counts.parameters_kept == 62


@pytest.mark.parametrize("kept", [{"conv_kept": 101}, {"conv_kept": 1, "linear_kept": 1}])
def test_training_counts_refuse_more_kept_than_exist(kept: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="more parameters kept"):
        TrainingCounts(conv=100, **kept)


def test_shapes_checks_the_network() -> None:
    assert tiny_model().shapes()["probabilities"] == (3,)
    with pytest.raises(ModelFileError, match="reads 'v0'"):
        changed(tiny_model(), nodes=tiny_model().nodes[1:]).shapes()


def test_members_of_an_ensemble_are_counted() -> None:
    model = tiny_model()
    assert model.members == 1
    arrays = {f"members.{k}.{name}": array for k in range(3) for name, array in model.arrays.items()}
    assert changed(model, arrays=arrays).members == 3
