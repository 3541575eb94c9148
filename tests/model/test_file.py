"""The `.scn` file: exact round trips, damage of every kind, sizes under every convention."""

import contextlib
import json
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.model_bytes import GOOD, open_up, seal
from helpers.tiny_model import changed, model_of, random_network, tiny_model
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import ModelFileError, OutputError
from scenelet.model import codec as coding
from scenelet.model import file as modelfile
from scenelet.model import weights as planes
from scenelet.model.file import decode_model, encode_model, stored_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import file_parts

ENCODINGS = ("masked_fp16", "masked_int8", "fp16", "fp32")


def rounded(array: np.ndarray, encoding: str) -> np.ndarray:
    """As the encoding stores it; masked_int8 stores what lies on its grid exactly."""
    return array if encoding in ("fp32", "masked_int8") else array.astype(np.float16).astype(np.float32)


def on_grid(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers from -127 to 127 in the place of the values that are not 0, times a power of two a row."""
    whole = rng.integers(-127, 128, array.shape) * (array != 0)
    exponents = rng.integers(-126, 121, len(array))
    return np.ldexp(whole.astype(np.float32), exponents.reshape(-1, *[1] * (array.ndim - 1)))


def refused(data: bytes, message: str = "") -> None:
    with pytest.raises(ModelFileError) as caught:
        decode_model(data, "some.scn")
    text = str(caught.value)
    assert text.startswith("some.scn: ")
    assert "\n" not in text
    assert message in text


def same(one: SceneModel, other: SceneModel) -> bool:
    plain = ("labels", "features", "window", "nodes", "encodings", "counts", "provenance", "results", "licenses")
    return all(getattr(one, field) == getattr(other, field) for field in plain)


def assert_identical(one: SceneModel, other: SceneModel) -> None:
    """Check that two models are the same to the last bit, signs of zeros included."""
    assert same(one, other)
    assert list(one.arrays) == list(other.arrays)
    for name, array in one.arrays.items():
        assert (array.dtype, array.shape) == (other.arrays[name].dtype, other.arrays[name].shape)
        assert array.tobytes() == other.arrays[name].tobytes()


@given(st.integers(0, 200), st.data())
@settings(max_examples=40, deadline=None)
def test_round_trip_is_exact_in_the_stored_format(seed: int, data: st.DataObject) -> None:
    net = random_network(seed, dense=bool(seed % 2))
    encodings = {name: data.draw(st.sampled_from(ENCODINGS)) for name in net.arrays}
    for name, array in net.arrays.items():
        array[np.abs(array) < data.draw(st.sampled_from([0.0, 0.5, 9.0]))] = 0
        if encodings[name] == "masked_int8":
            net.arrays[name] = on_grid(array, np.random.default_rng(seed))
    model = model_of(net, encodings)
    stored = encode_model(model)
    back = decode_model(stored, "x")
    assert same(model, back)
    assert list(back.arrays) == list(model.arrays)
    for name, array in model.arrays.items():
        assert back.arrays[name].dtype == np.float32
        np.testing.assert_array_equal(back.arrays[name], rounded(array, encodings[name]))
    assert encode_model(back) == stored == encode_model(model)
    assert_identical(stored_model(model), back)
    assert file_parts(model, stored) == file_parts(back, stored)


@given(
    hnp.arrays(np.float32, st.integers(1, 70), elements=st.floats(-65504, 65504, width=32)),
    st.sampled_from([encoding for encoding in ENCODINGS if encoding != "masked_int8"]),
)
def test_planes_keep_every_finite_value(values: np.ndarray, encoding: planes.Encoding) -> None:
    with np.errstate(all="ignore"):
        expected = rounded(values, encoding)
    sections = planes.encode_weights({"a": values}, {"a": encoding})
    lengths = {name: len(stored) for name, stored in sections.items()}
    back = planes.decode_weights({"a": values.shape}, {"a": encoding}, lengths, b"".join(sections.values()))["a"]
    np.testing.assert_array_equal(back, expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_stored_model_matches_the_decoded_file_to_the_bit(encoding: str) -> None:
    model = tiny_model()
    array = np.float32([[-0.0, 0.0, 1.0, -2.0], [-0.0, -0.0, 3.0, 0.5]])
    if encoding != "masked_int8":
        array[0] = [-1e-9, 1e-9, -6e-8, 1 / 3]  # zeros, subnormal numbers and rounding in fp16
    model.arrays["v2.shift"] = array[:1]
    model.arrays["v5.shift"] = array
    model = changed(model, encodings=model.encodings | {"v2.shift": encoding, "v5.shift": encoding})
    model = changed(model, provenance={"pair": (1, 2), "mean": 0.1})
    assert_identical(stored_model(model), decode_model(encode_model(model), "x"))


@pytest.mark.parametrize(
    ("encoding", "value", "message"),
    [("fp16", 70000, "too large for fp16"), ("fp32", np.nan, "not finite"), ("masked_int8", 0.1, "does not fit int8")],
)
def test_stored_model_refuses_what_a_file_cannot_hold(encoding: str, value: float, message: str) -> None:
    model = tiny_model()
    model.arrays["v2.shift"][0] = [1.0, 100.0, 3.0, value]
    with pytest.raises(ModelFileError, match=message):
        stored_model(changed(model, encodings=model.encodings | {"v2.shift": encoding}))
    with pytest.raises(ModelFileError, match="but not both"):
        stored_model(changed(model, encodings={}))


def test_a_kept_weight_too_small_for_fp16_comes_back_as_zero() -> None:
    values = np.float32([1.0, 1e-9, -2.5, 0.0, 6e-8])
    sections = planes.encode_weights({"a": values}, {"a": "masked_fp16"})
    assert coding.decompress_bytes(sections["masked_fp16.mask"], 1) == bytes([0b10101000])
    assert len(coding.decompress_bytes(sections["masked_fp16.high"], 3)) == 3


def test_sections_lie_in_one_order_and_a_mask_costs_an_eighth_of_a_byte() -> None:
    values = np.random.default_rng(0).normal(0, 1, (64, 64, 3, 3)).astype(np.float32)
    values[np.abs(values) < np.quantile(np.abs(values), 0.6)] = 0
    sections = planes.encode_weights({"a": values, "b": values[0]}, {"a": "masked_fp16", "b": "fp16"})
    assert list(sections) == ["masked_fp16.mask", "masked_fp16.high", "masked_fp16.low", "fp16.high", "fp16.low"]
    ideal = values.size / 8 + 2 * np.count_nonzero(values)
    assert sum(len(sections[name]) for name in list(sections)[:3]) < 0.85 * ideal


def test_too_large_for_fp16_is_an_error_that_names_the_array() -> None:
    model = tiny_model()
    model.arrays["v2.shift"][0, 1] = 70000
    with pytest.raises(ModelFileError, match=r"'v2.shift' holds 70000, too large for fp16 .* fp32"):
        encode_model(model)
    assert decode_model(encode_model(changed(model, encodings=model.encodings | {"v2.shift": "fp32"})), "x")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_not_written(encoding: str, value: float) -> None:
    model = tiny_model()
    model.arrays["v2.shift"][0, 1] = value
    with pytest.raises(ModelFileError, match="not finite"):
        encode_model(changed(model, encodings=model.encodings | {"v2.shift": encoding}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("a", "b")}, "2 labels for 3 probabilities"),
        ({"labels": ("a", "b", "b")}, "different from each other"),
        ({"labels": ("a", "b", "\x1b[2J")}, "printable"),
        ({"encodings": {}}, "but not both"),
        ({"encodings": dict.fromkeys(tiny_model().arrays, "int8")}, "encoding"),
        ({"provenance": {"path": Path("x")}}, "JSON"),
        ({"results": {"loss": float("nan")}}, "JSON"),
        ({"provenance": {"path": "\udc80"}}, "JSON"),
        ({"nodes": tiny_model().nodes[1:]}, "reads 'v0'"),
        ({"window": WindowConfig(seconds=0.3)}, None),
        ({"window": WindowConfig(seconds=0.016)}, "shorter than half of n_fft"),
        ({"features": FeatureConfig(sample_rate=384000, hop_length=1, n_mels=16)}, "too long"),
        ({"features": FeatureConfig(sample_rate=8000, n_fft=256, n_mels=15)}, "16 equal sub-bands"),
    ],
)
def test_what_does_not_fit_together_is_not_written(changes: dict, message: str | None) -> None:
    model = changed(tiny_model(), **changes)
    if message is None:
        encode_model(model)
        return
    with pytest.raises(ModelFileError, match=message):
        encode_model(model)


def test_cut_short_anywhere() -> None:
    for length in range(len(GOOD)):
        refused(GOOD[:length])
    refused(GOOD[:-1], f"cut short after {len(GOOD) - 1} of {len(GOOD)} bytes")
    refused(GOOD[:20], "cut short")
    refused(b"", "empty")


def test_every_altered_byte_is_seen() -> None:
    for position in range(len(GOOD)):
        altered = bytearray(GOOD)
        altered[position] ^= 1 << position % 8
        refused(bytes(altered))
    refused(GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "altered")
    refused(GOOD + b"\n", "altered")


def test_a_newer_format_says_so() -> None:
    refused(seal(*open_up(GOOD), version=4), "format version 4, this scenelet reads up to 3; upgrade")


def test_a_format_from_before_the_first_release_says_so() -> None:
    for version in (1, 2):
        message = f"format version {version}, from before the first release; compress its run again"
        refused(seal(*open_up(GOOD), version=version), message)


def resealed(**changes: object) -> bytes:
    head, body = open_up(GOOD)
    return seal(head | changes, body)


def test_resealing_alone_changes_nothing() -> None:
    assert same(decode_model(resealed(), "x"), tiny_model())


def test_heads_that_lie() -> None:
    head, body = open_up(GOOD)
    arrays, sections = head["arrays"], head["sections"]
    mask, high = sections["masked_fp16.mask"], sections["masked_fp16.high"]
    refused(resealed(extra=1), "head extra")
    refused(resealed(labels=[1, 2, 3]), "head labels")
    refused(resealed(nodes=[{"op": "Exec", "input": "log_mel", "output": "x"}, *head["nodes"]]), "head nodes 0")
    refused(resealed(nodes=head["nodes"] * 300), "nodes")
    refused(resealed(arrays=[{**arrays[0], "shape": [1 << 24, 1 << 24]}, *arrays[1:]]), "parameters")
    refused(resealed(arrays=[{**arrays[0], "shape": [1 << 60]}, *arrays[1:]]), "head arrays 0 shape")
    refused(resealed(arrays=[{**arrays[0], "shape": [-16, 1]}, *arrays[1:]]), "head arrays 0 shape")
    refused(resealed(arrays=[{**arrays[0], "shape": []}, *arrays[1:]]), "head arrays 0 shape")
    refused(resealed(arrays=[*arrays, arrays[0]]), "two arrays")
    refused(resealed(arrays=[*arrays, {"name": "spare", "shape": [1], "encoding": "fp16"}]), "'spare' is used by no")
    refused(resealed(sections={**sections, "masked_fp16.mask": mask + 1}), "do not fill")
    refused(resealed(sections={**sections, "masked_fp16.mask": mask + 1, "masked_fp16.high": high - 1}), "section")
    refused(resealed(sections={k: v for k, v in sections.items() if k != "fp16.low"}), "do not fill")
    refused(seal(head | {"sections": {**sections, "other": 4}}, body + b"1234"), "'other' does not belong")
    refused(resealed(features={**head["features"], "n_mels": 24}), "node 0 (ScaleShift 'v0')")
    refused(resealed(features={**head["features"], "n_mels": 8}), "sub-bands")
    refused(
        resealed(window={"seconds": 600.0, "hop_seconds": None, "min_last_fraction": 0.05, "extra": 0}),
        "head window extra",
    )
    refused(resealed(counts={**head["counts"], "conv_kept": 1 << 40}), "more parameters kept")
    refused(resealed(counts={**head["counts"], "conv": "9999"}), "head counts conv")
    refused(seal(b"[" * 100000, body), "head")
    refused(seal(b"\xff\xfe{}", body), "head")
    refused(seal(b"", body), "head")
    refused(seal(head, body, plain_size=1 << 31), "head is larger")
    refused(seal(head, body, plain_size=10), "10 bytes")


def test_a_section_that_would_inflate_without_end_stops_at_what_is_needed() -> None:
    bomb = b"\0" + zlib.compress(bytes(1 << 24), 9)
    head, body = open_up(GOOD)
    first = next(iter(head["sections"]))
    rest = body[head["sections"][first] :]
    lying = seal(head | {"sections": {**head["sections"], first: len(bomb)}}, bomb + rest)
    tracemalloc.start()
    refused(lying, "does not inflate")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_stored_numbers_that_are_not_finite_are_refused() -> None:
    head, body = open_up(GOOD)
    sections, offset, parts = head["sections"], 0, {}
    for name in sections:
        parts[name] = body[offset : offset + sections[name]]
        offset += sections[name]
    count = sum(a.size for n, a in tiny_model().arrays.items() if tiny_model().encodings[n] == "fp16")
    high = bytearray(coding.decompress_bytes(parts["fp16.high"], count))
    high[3] = 0x7C
    parts["fp16.high"] = coding.compress_bytes(bytes(high))
    lengths = {name: len(part) for name, part in parts.items()}
    refused(seal(head | {"sections": lengths}, b"".join(parts.values())), "not finite")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_head_mutated_anywhere_is_read_or_refused_never_worse(data: st.DataObject) -> None:
    head, body = open_up(GOOD)
    plain = bytearray(json.dumps(head).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(plain) - 1))
        plain[position] = data.draw(st.integers(32, 126))
    with contextlib.suppress(ModelFileError):
        decode_model(seal(bytes(plain), body), "x")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "model.scn"
    modelfile.write_model(tiny_model(), path)
    assert path.read_bytes() == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.scn"]
    assert same(modelfile.read_model(path), tiny_model())


def test_what_is_no_model_file(tmp_path: Path) -> None:
    text = tmp_path / "notes.scn"
    text.write_text("three classes\n")
    for path, message in (
        (tmp_path / "missing.scn", "no such file"),
        (tmp_path, "is a folder"),
        (text, "not a scenelet model"),
        (text / "below.scn", "cannot be read"),
    ):
        with pytest.raises(ModelFileError, match=message) as caught:
            modelfile.read_model(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.scn"
    path.write_bytes(b"before")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        modelfile.write_model(tiny_model(), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    with pytest.raises(OutputError, match="is a folder"):
        modelfile.write_model(tiny_model(), tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        modelfile.write_model(tiny_model(), tmp_path / "none" / "model.scn")
