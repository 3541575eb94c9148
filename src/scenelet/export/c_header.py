"""Export of a model to a C header: settings, weights and nodes as constants; see docs/microcontroller.md."""

import json
import re
import string
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from scenelet.export.limits import check_exportable
from scenelet.model.encodings import to_int8
from scenelet.model.ops import AveragePool, Conv, MaxPool, Node, Shape
from scenelet.model.scene_model import SceneModel

OPERATIONS = (
    "Conv",
    "ScaleShift",
    "ResidualNorm",
    "Relu",
    "Silu",
    "Add",
    "MaxPool",
    "AveragePool",
    "FrequencyMeanPool",
    "GlobalMeanPool",
    "Flatten",
    "Linear",
    "Softmax",
)
"""Operations, in the order of their numbers in the header."""
NUMBERS_PER_LINE = 16
C_PLAIN_CHARACTERS = frozenset(string.ascii_letters + string.digits + " _-+.,:;()/&%")
"""Characters of a C string that need no escape. All others are written in octal."""

TYPES = """#ifndef SCENELET_TYPES
#define SCENELET_TYPES
/* An element is values[i] * 2 ** exponents[row] if values is not null, and reals[i] otherwise.
   A row has row_length elements. */
typedef struct {
    const int8_t *values;
    const int8_t *exponents;
    const float *reals;
    int32_t rows, row_length;
} scenelet_array;
/* in, out: indices into NAME_shapes; arrays: indices into NAME_arrays; -1 if unused.
   numbers: Conv kernel F, T, stride F, T, padding F, T, dilation F, T, groups; MaxPool kernel F, T, stride F, T;
   AveragePool kernel F, T, stride F, T, padding F, T. */
typedef struct {
    uint8_t operation;
    int16_t in[2], out, arrays[2];
    int16_t numbers[9];
} scenelet_node;
#endif"""


def c_header(model: SceneModel, name: str) -> str:
    """Return the text of a C header file that includes only `stdint.h`.

    int8 weights are integers with one exponent per output channel. All other numbers are floats with enough digits to
    be exact. Pruned weights are stored as zeros.

    Args:
        model: the content of a `.scn` file.
        name: the prefix of this model's names in the header; macros use it in capitals. Characters that are invalid in
            C become "_", and "model_" precedes a digit. Names that all headers share begin with "scenelet_".

    Raises:
        ModelFileError: as `scenelet.export.limits.check_exportable`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> text = c_header(read_model(built_in("esc10")), "my model")
    >>> "#define MY_MODEL_CLASSES 10" in text
    True
    """
    check_exportable(model)
    prefix = _identifier(name)
    shapes = model.shapes()
    value_indices = {value: index for index, value in enumerate(shapes)}
    arrays = {array: index for index, array in enumerate(model.arrays)}
    lines = _preamble(model, name, prefix)
    for array, index in arrays.items():
        lines += _array(f"{prefix}_{index}", array, model)
    lines += [
        f"static const scenelet_array {prefix}_arrays[] = {{",
        *(f"    {_array_entry(f'{prefix}_{index}', array, model)}," for array, index in arrays.items()),
        "};",
        "",
        "/* channels, frequency, time of every value; the first is the log-mel input, the last the probabilities */",
        f"static const int32_t {prefix}_shapes[][3] = {{",
        *(f"    {{{', '.join(map(str, _three(shape)))}}}, /* {_comment(value)} */" for value, shape in shapes.items()),
        "};",
        "",
        f"static const scenelet_node {prefix}_nodes[] = {{",
        *(f"    {_node_entry(node, value_indices, arrays, model)}," for node in model.nodes),
        "};",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def constant_bytes(model: SceneModel) -> int:
    """Return the bytes that all weights, scales and shifts take in a program: one per integer, four per float."""
    total = 0
    for name, array in model.arrays.items():
        total += array.size + len(array) if model.encodings[name] == "masked_int8" else 4 * array.size
    return total


def _preamble(model: SceneModel, name: str, prefix: str) -> list[str]:
    """Return the lines up to the labels: settings in a comment, types, operations and sizes."""
    shapes = model.shapes()
    features, window = model.features, model.window
    macro = prefix.upper()
    return [
        f"/* {_comment(name)}: a sound classifier, written by scenelet export. Layout: docs/microcontroller.md.",
        f"   Features: {_comment(features.model_dump())}",
        f"   Window: {_comment(window.model_dump())}",
        f"   Licenses: {_comment(model.licenses)} */",
        f"#ifndef SCENELET_MODEL_{prefix}",
        f"#define SCENELET_MODEL_{prefix}",
        "#include <stdint.h>",
        "",
        TYPES,
        "",
        *(f"#define SCENELET_{_upper(op)} {index}" for index, op in enumerate(OPERATIONS)),
        "",
        f"#define {macro}_CLASSES {len(model.labels)}",
        f"#define {macro}_SAMPLE_RATE {features.sample_rate}",
        f"#define {macro}_SAMPLES {window.samples(features.sample_rate)}",
        f"#define {macro}_NODES {len(model.nodes)}",
        f"#define {macro}_VALUES {len(shapes)}",
        f"#define {macro}_LARGEST_VALUE {max(int(np.prod(shape)) for shape in shapes.values())}",
        "",
        f"static const char *const {prefix}_labels[] = {{{', '.join(map(_c_text, model.labels))}}};",
        "",
    ]


def _array(c_name: str, name: str, model: SceneModel) -> list[str]:
    array = model.arrays[name]
    comment = f"/* {_comment(name)}, {' x '.join(map(str, array.shape))} */"
    if model.encodings[name] != "masked_int8":
        return [comment, f"static const float {c_name}[] = {{", *_rows(map(_c_float, array.ravel())), "};", ""]
    values, exponents = to_int8(name, array)
    return [
        comment,
        f"static const int8_t {c_name}_values[] = {{",
        *_rows(map(str, values.ravel().tolist())),
        "};",
        f"static const int8_t {c_name}_exponents[] = {{",
        *_rows(map(str, exponents.tolist())),
        "};",
        "",
    ]


def _array_entry(c_name: str, name: str, model: SceneModel) -> str:
    array = model.arrays[name]
    sizes = f"{len(array)}, {array.size // len(array)}"
    if model.encodings[name] == "masked_int8":
        return f"{{{c_name}_values, {c_name}_exponents, 0, {sizes}}}"
    return f"{{0, 0, {c_name}, {sizes}}}"


def _node_entry(node: Node, value_indices: dict[str, int], arrays: dict[str, int], model: SceneModel) -> str:
    reads = [value_indices[name] for name in node.reads]
    uses = [arrays[name] for name in node.arrays]
    numbers: list[int] = []
    if isinstance(node, Conv):
        kernel = model.arrays[node.weight].shape[2:]
        numbers = [*kernel, *node.stride, *node.padding, *node.dilation, node.groups]
    elif isinstance(node, MaxPool):
        numbers = [*node.kernel, *node.stride]
    elif isinstance(node, AveragePool):
        numbers = [*node.kernel, *node.stride, *node.padding]
    fields = [_fill(reads, 2, -1), str(value_indices[node.output]), _fill(uses, 2, -1), _fill(numbers, 9, 0)]
    return f"{{SCENELET_{_upper(node.op)}, {', '.join(fields)}}}"


def _fill(values: Sequence[int], length: int, filler: int) -> str:
    return "{" + ", ".join(str(value) for value in [*values, *[filler] * (length - len(values))]) + "}"


def _three(shape: Shape) -> tuple[int, ...]:
    return (*shape, *[1] * (3 - len(shape)))


def _rows(numbers: Iterable[str]) -> list[str]:
    texts = list(numbers)
    starts = range(0, len(texts), NUMBERS_PER_LINE)
    return [f"    {', '.join(texts[start : start + NUMBERS_PER_LINE])}," for start in starts]


def _c_float(value: np.float32) -> str:
    """Return a C literal. Nine digits represent every float32 exactly."""
    text = f"{float(value):.9g}"
    return f"{text if set('.en') & set(text) else text + '.0'}f"


def _c_text(text: str) -> str:
    """Return a C string literal of the text in UTF-8."""
    plain = "".join(chr(byte) if chr(byte) in C_PLAIN_CHARACTERS else f"\\{byte:03o}" for byte in text.encode())
    return f'"{plain}"'


def _comment(value: Any) -> str:
    """Return a text or JSON value for a C comment. It neither ends the comment nor begins another."""
    text = value if isinstance(value, str) else json.dumps(value)
    plain = "".join(c if 32 <= ord(c) < 127 else " " for c in text)
    return re.sub(r"\*(?=/)|/(?=\*)", r"\g<0> ", plain)


def _identifier(name: str) -> str:
    """Return a valid identifier in C."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain and not plain[0].isdigit() else f"model_{plain}"


def _upper(op: str) -> str:
    """Convert "GlobalMeanPool" to "GLOBAL_MEAN_POOL"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", op).upper()
