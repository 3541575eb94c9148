"""Networks by name."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from scenelet.errors import UsageError, did_you_mean

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def register_model(name: str) -> Callable[[Builder], Builder]:
    """Decorator: make a network, or a function that builds one, known under a name; a name is taken once."""

    def register(builder: Builder) -> Builder:
        if name in _BUILDERS:
            raise ValueError(f"a network named {name!r} is registered already")
        _BUILDERS[name] = builder
        return builder

    return register


def list_models() -> list[str]:
    """The names that `create_model` knows."""
    return sorted(_BUILDERS)


def create_model(name: str, **settings: Any) -> nn.Module:
    """Build a network, e.g. `create_model("shared_resnet", num_classes=3, in_channels=2)`.

    Raises:
        UsageError: no network has this name.
    """
    return _builder(name)(**settings)


def model_settings(name: str) -> set[str]:
    """The settings that a network takes. Raises as `create_model`."""
    return set(inspect.signature(_builder(name)).parameters)


def _builder(name: str) -> Callable[..., nn.Module]:
    if name not in _BUILDERS:
        raise UsageError(f"no network is named {name!r}{did_you_mean(name, _BUILDERS)}; known: {', '.join(_BUILDERS)}")
    return _BUILDERS[name]
