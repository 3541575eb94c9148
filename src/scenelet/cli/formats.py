"""What the choices on the command line are called."""

from enum import StrEnum


class Format(StrEnum):
    """For people or for programs."""

    table = "table"
    json = "json"


class RowFormat(StrEnum):
    """The same, for results with a row a recording."""

    table = "table"
    json = "json"
    csv = "csv"


class Runtime(StrEnum):
    """What runs a network: `scenelet.runtimes`."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"
