"""Layers and networks in PyTorch, and the conversion of a network to a model file.

`create_model` builds a network by its name. This package needs PyTorch: `pip install "scenelet[train]"`.
"""

try:
    import torch as _torch
except ModuleNotFoundError:
    message = 'scenelet.nn needs PyTorch; install it with: pip install "scenelet[train]", or ".[train]" in a clone'
    raise ModuleNotFoundError(message, name="torch") from None

from scenelet.nn import bc_resnet as _bc_resnet  # importing a network registers it
from scenelet.nn import cp_mobile as _cp_mobile
from scenelet.nn import cp_resnet as _cp_resnet
from scenelet.nn import dcase2020_baseline as _baseline2020
from scenelet.nn import dcase2021_baseline as _baseline2021
from scenelet.nn import shared_resnet as _shared_resnet
from scenelet.nn.registry import create_model as create_model
from scenelet.nn.registry import list_models as list_models
from scenelet.nn.registry import model_settings as model_settings

del _baseline2020, _baseline2021, _bc_resnet, _cp_mobile, _cp_resnet, _shared_resnet, _torch
