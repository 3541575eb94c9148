"""What arguments of several commands are called on the command line."""

from enum import StrEnum

MODEL_HELP = "Model file, NAME.scn, or the model that comes with scenelet: esc10."


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
