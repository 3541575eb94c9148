"""Known sounds: similarities, embeddings of networks, and their place in a model file."""

import json

import numpy as np
import pytest

from helpers.model_bytes import GOOD, KNOWN, open_up, seal
from helpers.tiny_model import changed, model_of, random_network, tiny_model, with_known_sounds
from scenelet.errors import ModelFileError
from scenelet.model.file import check_model, decode_model, encode_model, stored_model
from scenelet.model.known_sounds import MEANS, KnownSounds, embedding_size, embedding_values, similarities
from scenelet.model.ops import INPUT, OUTPUT, Add, Conv, GlobalMeanPool, Node, Relu, ScaleShift, Softmax
from scenelet.model.sizes import file_parts, sizes


def test_similarity_is_the_cosine_with_the_nearest_mean() -> None:
    means = np.array([[2.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    angles = np.radians([0, 30, 60, 90, 200])
    rows = np.stack([np.cos(angles), 0 * angles, np.sin(angles)], axis=1) * np.array([[1e-12], [1], [7], [1], [1e12]])
    found = similarities(rows, means)
    np.testing.assert_allclose(found, [1, np.cos(np.pi / 6), 0.5, 0, 0], atol=1e-12)  # 200 degrees: the other mean
    np.testing.assert_allclose(similarities(-rows[:1], means[:1]), [-1])


def test_embedding_of_a_convolution_is_its_input() -> None:
    nodes: list[Node] = [
        Conv(input=INPUT, output="a", weight="w"),
        Relu(input="a", output="b"),
        Conv(input="b", output="c", weight="v"),
        ScaleShift(input="c", output="d", scale="s", shift="t"),
        GlobalMeanPool(input="d", output="e"),
        Softmax(input="e", output=OUTPUT),
    ]
    assert embedding_values(nodes) == ["b"]


def test_embedding_of_a_network_without_weights_is_its_input() -> None:
    nodes = [GlobalMeanPool(input=INPUT, output="mean"), Softmax(input="mean", output=OUTPUT)]
    assert embedding_values(nodes) == [INPUT]
    assert embedding_size(nodes, {INPUT: (2, 64, 100), "mean": (2,), OUTPUT: (2,)}) == 2


def test_embedding_of_many_sums_takes_each_value_once() -> None:
    """A walk over each way through the sums would take 2 ** 200 steps."""
    nodes: list[Node] = [Conv(input=INPUT, output="v0", weight="w")]
    nodes += [Add(inputs=(f"v{i}", f"v{i}"), output=f"v{i + 1}") for i in range(200)]
    nodes += [GlobalMeanPool(input="v200", output="mean"), Softmax(input="mean", output=OUTPUT)]
    assert embedding_values(nodes) == [INPUT]


def test_embedding_of_an_ensemble_has_the_order_of_its_members() -> None:
    nodes: list[Node] = []
    for member in "abc":
        nodes += [
            Conv(input=INPUT, output=f"{member}1", weight="w"),
            Conv(input=f"{member}1", output=f"{member}2", weight="w"),
            GlobalMeanPool(input=f"{member}2", output=member),
        ]
    nodes += [Add(inputs=("a", "b"), output="ab"), Add(inputs=("ab", "c"), output="abc")]
    assert embedding_values([*nodes, Softmax(input="abc", output=OUTPUT)]) == ["a1", "b1", "c1"]


@pytest.mark.parametrize("dense", [False, True])
def test_model_file_round_trips_known_sounds(dense: bool) -> None:
    model = with_known_sounds(model_of(random_network(3, dense)), min_similarity=0.8125)
    for back in (decode_model(encode_model(model), "x"), stored_model(model)):
        assert back.known is not None
        assert back.known.min_similarity == 0.8125
        np.testing.assert_array_equal(back.known.means, model.known.means)
        assert back.arrays.keys() == model.arrays.keys() == back.encodings.keys()


def test_known_sounds_change_no_other_byte_of_weights_and_no_size_but_the_files() -> None:
    plain, known = decode_model(GOOD, "x"), decode_model(KNOWN, "x")
    assert file_parts(plain, GOOD).weights == file_parts(known, KNOWN).weights
    before, after = sizes(plain, len(GOOD)), sizes(known, len(KNOWN))
    assert {rule for rule in before if before[rule] != after[rule]} == {"disk"}


def test_file_of_a_model_without_known_sounds_does_not_name_them() -> None:
    header, _ = open_up(GOOD)
    assert "known" not in header


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"known": None}, "the array 'known.means' and the field known need each other"),
        ({"known": {"min_similarity": 1.5}}, "header known min_similarity is not valid"),
        ({"known": {"min_similarity": "high"}}, "header known min_similarity is not valid"),
        ({"known": {}}, "header known min_similarity is not valid"),
        ({"known": {"min_similarity": 0.5, "means": []}}, "header known means is not valid"),
        ({"shape": [4, 3]}, "the array 'known.means' has the shape (4, 3), not (3, 4)"),
        ({"shape": [12]}, "the array 'known.means' has the shape (12,), not (3, 4)"),
        ({"encoding": "fp32"}, "the array 'known.means' is not in fp16"),
        ({"name": "means"}, "the array 'known.means' and the field known need each other"),
        ({"name": "v0.scale"}, "two arrays have the same name"),
    ],
)
def test_odd_known_sounds_are_refused(change: dict[str, object], words: str) -> None:
    header, body = open_up(KNOWN)
    (array,) = (array for array in header["arrays"] if array["name"] == MEANS)
    (header if "known" in change else array).update(change)
    with pytest.raises(ModelFileError) as caught:
        decode_model(seal(json.loads(json.dumps(header)), body), "x.scn")
    assert words in str(caught.value)


def test_check_model_refuses_means_of_another_network() -> None:
    model = changed(tiny_model(), known=KnownSounds(np.ones((3, 5), np.float32), 0.5))
    with pytest.raises(ModelFileError, match=r"has the shape \(3, 5\), not \(3, 4\)"):
        check_model(model)
