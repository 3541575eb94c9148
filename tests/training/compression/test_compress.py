"""What `compress` says of what it did; that its file fits is in `test_shrink.py`."""

import pytest

from scenelet.training.compression.compress import _warn_of_empty_layers


@pytest.mark.parametrize(
    ("densities", "named"),
    [
        ({"a": 0.02}, "a (2.0 % left);"),
        ({"a": 0.04, "b": 0.0, "c": 0.03, "d": 0.012}, "b (0.0 % left), d (1.2 % left), c (3.0 % left) and 1 more;"),
    ],
)
def test_empty_layers_are_warned_of_once(
    densities: dict[str, float], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _warn_of_empty_layers(densities)
    assert capsys.readouterr().err.startswith(f"warning: nearly pruned away: {named}")


def test_nothing_is_said_where_every_layer_has_weights_left(capsys: pytest.CaptureFixture[str]) -> None:
    _warn_of_empty_layers({})
    assert capsys.readouterr().err == ""
