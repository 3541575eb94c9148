"""Networks by name."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from scenelet.errors import UsageError, did_you_mean

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def register_model(builder: Builder) -> Builder:
    """Decorator: make a builder known under its own name; a name is taken once."""
    if builder.__name__ in _BUILDERS:
        raise ValueError(f"a network named {builder.__name__!r} is registered already")
    _BUILDERS[builder.__name__] = builder
    return builder


def list_models() -> list[str]:
    """The names that `create_model` knows."""
    return sorted(_BUILDERS)


def create_model(name: str, **settings: Any) -> nn.Module:
    """Build a network, e.g. `create_model("shared_resnet", num_classes=3, in_channels=2)`.

    Raises:
        UsageError: no network has this name.
    """
    if name not in _BUILDERS:
        raise UsageError(f"no network is named {name!r}{did_you_mean(name, _BUILDERS)}; known: {', '.join(_BUILDERS)}")
    return _BUILDERS[name](**settings)
