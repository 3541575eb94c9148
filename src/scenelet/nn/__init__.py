"""The networks. Needs PyTorch: `pip install "scenelet[train]"`."""

from scenelet.nn import shared_resnet as _shared_resnet  # registers itself
from scenelet.nn.registry import create_model as create_model
from scenelet.nn.registry import list_models as list_models

del _shared_resnet
