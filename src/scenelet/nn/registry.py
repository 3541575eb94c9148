"""Registry of networks by name."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from scenelet.errors import UsageError, did_you_mean

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def register_model(name: str) -> Callable[[Builder], Builder]:
    """Return a decorator that registers a network, or a function that builds one, under a name.

    Raises:
        ValueError: the name is registered already.
    """

    def register(builder: Builder) -> Builder:
        if name in _BUILDERS:
            raise ValueError(f"a network named {name!r} is registered already")
        _BUILDERS[name] = builder
        return builder

    return register


def list_models() -> list[str]:
    """Return the names of all networks.

    >>> list_models()
    ['bc_resnet', 'cp_mobile', 'cp_resnet', 'dcase2020_baseline', 'dcase2021_baseline', 'shared_resnet']
    """
    return sorted(_BUILDERS)


def create_model(name: str, **settings: Any) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        name: one of `list_models()`.
        settings: the arguments of the network's class, for example `num_classes` and `in_channels`.

    Raises:
        UsageError: no network has this name.

    >>> network = create_model("shared_resnet", num_classes=3, in_channels=2, width=8)
    >>> sum(p.numel() for p in network.parameters())
    10726
    """
    return _builder(name)(**settings)


def model_settings(name: str) -> set[str]:
    """Return the names of the settings that a network accepts.

    Raises:
        UsageError: as `create_model`.

    >>> "rho" in model_settings("cp_resnet")
    True
    """
    return set(inspect.signature(_builder(name)).parameters)


def _builder(name: str) -> Callable[..., nn.Module]:
    if name not in _BUILDERS:
        raise UsageError(f"no network is named {name!r}{did_you_mean(name, _BUILDERS)}; known: {', '.join(_BUILDERS)}")
    return _BUILDERS[name]
