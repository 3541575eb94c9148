"""Sounds that a model knows: the direction of each class in the network's embedding, and how close a sound must be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenelet.model.ops import OUTPUT, Conv, Linear, Node, Shape

MEANS = "known.means"
"""Name of the array of a file that holds `KnownSounds.means`. No node uses it."""


@dataclass(frozen=True, eq=False)
class KnownSounds:
    """Rule for sounds that are unlike all training sounds. Their answers are unsure, whatever the probability is.

    Attributes:
        means: (classes, values) mean embedding of each class over its training windows, as a unit vector.
        min_similarity: minimum similarity of a sure answer, see `similarities`.
    """

    means: NDArray[np.float32]
    min_similarity: float


def similarities(embeddings: NDArray[np.floating], means: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosine of each embedding with the mean embedding of the nearest class: (n,), from -1 to 1.

    The cosine with a zero vector is 0. `scenelet.inference.onnx_network` computes the same in a model's graph.

    Args:
        embeddings: (n, values).
        means: (classes, values) of any length.

    >>> similarities(np.array([[3.0, 4.0], [-2.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [0.8, 0.0, 0.0]
    """
    return np.asarray((unit_rows(embeddings) @ unit_rows(means).T).max(axis=1))


def unit_rows(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rows with length 1. A row of zeros stays as it is.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    values = rows.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(lengths > 0, lengths, 1))


def embedding_values(nodes: Sequence[Node]) -> list[str]:
    """Return the names of the values that a network's last layer reads; of an ensemble, those of each member.

    The last layer is the last dense layer or convolution on the way to the probabilities. If there is none, the value
    is the network's input. A value (channels, frequency, time) counts with its mean over frequency and time.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> len(embedding_values(read_model(built_in("esc10")).nodes))
    1
    """
    writers = {node.output: node for node in nodes}
    found: list[str] = []
    seen, open_values = set[str](), [OUTPUT]
    while open_values:
        node = writers.get(value := open_values.pop())
        reads = [value] if node is None else list(node.reads)
        if node is None or isinstance(node, Conv | Linear):
            found += [name for name in reads if name not in found]
        else:
            new = [name for name in reversed(reads) if name not in seen]
            seen.update(new)
            open_values += new
    return found


def embedding_size(nodes: Sequence[Node], shapes: Mapping[str, Shape]) -> int:
    """Return the number of values in the embedding of a window.

    Args:
        nodes: the network.
        shapes: shape of every value, see `scenelet.model.shapes.shapes`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> embedding_size(model.nodes, model.shapes())
    152
    """
    return sum(shapes[value][0] for value in embedding_values(nodes))
