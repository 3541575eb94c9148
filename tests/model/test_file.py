"""The `.scn` file: exact round trips, and damage of every kind."""

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
from scenelet.model.codec import compress_bytes, decompress_bytes
from scenelet.model.file import decode_model, encode_model, read_model, stored_model, write_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import file_parts
from scenelet.model.weights import Encoding, decode_weights, encode_weights
from scenelet.utils import files

ENCODINGS = ("masked_fp16", "masked_int8", "fp16", "fp32")


def rounded(array: np.ndarray, encoding: str) -> np.ndarray:
    """Round as the encoding does; masked_int8 stores values on its grid exactly."""
    return array if encoding in ("fp32", "masked_int8") else array.astype(np.float16).astype(np.float32)


def on_grid(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace non-zero values by random integers from -127 to 127 times a power of two per row."""
    integers = rng.integers(-127, 128, array.shape) * (array != 0)
    exponents = rng.integers(-126, 121, len(array))
    return np.ldexp(integers.astype(np.float32), exponents.reshape(-1, *[1] * (array.ndim - 1)))


def assert_refused(data: bytes, message: str = "") -> None:
    with pytest.raises(ModelFileError) as caught:
        decode_model(data, "some.scn")
    text = str(caught.value)
    assert text.startswith("some.scn: ")
    assert "\n" not in text
    assert message in text


def same_header(one: SceneModel, other: SceneModel) -> bool:
    plain = ("labels", "features", "window", "nodes", "encodings", "counts", "provenance", "results", "licenses")
    plain += ("background",)
    return all(getattr(one, field) == getattr(other, field) for field in plain)


def assert_identical(one: SceneModel, other: SceneModel) -> None:
    """Check that two models are the same to the last bit, signs of zeros included."""
    assert same_header(one, other)
    assert list(one.arrays) == list(other.arrays)
    for name, array in one.arrays.items():
        assert (array.dtype, array.shape) == (other.arrays[name].dtype, other.arrays[name].shape)
        assert array.tobytes() == other.arrays[name].tobytes()


@given(st.integers(0, 200), st.data())
@settings(max_examples=40, deadline=None)
def test_decode_model_inverts_encode_model_up_to_rounding(seed: int, data: st.DataObject) -> None:
    net = random_network(seed, dense=bool(seed % 2))
    encodings = {name: data.draw(st.sampled_from(ENCODINGS)) for name in net.arrays}
    for name, array in net.arrays.items():
        array[np.abs(array) < data.draw(st.sampled_from([0.0, 0.5, 9.0]))] = 0
        if encodings[name] == "masked_int8":
            net.arrays[name] = on_grid(array, np.random.default_rng(seed))
    model = model_of(net, encodings)
    stored = encode_model(model)
    back = decode_model(stored, "x")
    assert same_header(model, back)
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
def test_encode_weights_keeps_every_finite_value(values: np.ndarray, encoding: Encoding) -> None:
    with np.errstate(all="ignore"):
        expected = rounded(values, encoding)
    sections = encode_weights({"a": values}, {"a": encoding})
    lengths = {name: len(stored) for name, stored in sections.items()}
    back = decode_weights({"a": values.shape}, {"a": encoding}, lengths, b"".join(sections.values()))["a"]
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


def test_background_is_stored_and_takes_no_byte_without_one() -> None:
    model = changed(tiny_model(), background="outdoor")
    assert decode_model(encode_model(model), "x").background == stored_model(model).background == "outdoor"
    assert decode_model(GOOD, "x").background is None
    assert "background" not in open_up(encode_model(tiny_model()))[0]


def test_encode_weights_masks_values_too_small_for_fp16() -> None:
    values = np.float32([1.0, 1e-9, -2.5, 0.0, 6e-8])
    sections = encode_weights({"a": values}, {"a": "masked_fp16"})
    assert decompress_bytes(sections["masked_fp16.mask"], 1) == bytes([0b10101000])
    assert len(decompress_bytes(sections["masked_fp16.high"], 3)) == 3


def test_encode_weights_orders_sections_and_packs_the_mask() -> None:
    values = np.random.default_rng(0).normal(0, 1, (64, 64, 3, 3)).astype(np.float32)
    values[np.abs(values) < np.quantile(np.abs(values), 0.6)] = 0
    sections = encode_weights({"a": values, "b": values[0]}, {"a": "masked_fp16", "b": "fp16"})
    assert list(sections) == ["masked_fp16.mask", "masked_fp16.high", "masked_fp16.low", "fp16.high", "fp16.low"]
    ideal = values.size / 8 + 2 * np.count_nonzero(values)
    assert sum(len(sections[name]) for name in list(sections)[:3]) < 0.85 * ideal


def test_encode_model_names_an_array_too_large_for_fp16() -> None:
    model = tiny_model()
    model.arrays["v2.shift"][0, 1] = 70000
    with pytest.raises(ModelFileError, match=r"'v2.shift' holds 70000, too large for fp16 .* fp32"):
        encode_model(model)
    assert decode_model(encode_model(changed(model, encodings=model.encodings | {"v2.shift": "fp32"})), "x")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_encode_model_refuses_numbers_that_are_not_finite(encoding: str, value: float) -> None:
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
def test_encode_model_refuses_inconsistent_parts(changes: dict, message: str | None) -> None:
    model = changed(tiny_model(), **changes)
    if message is None:
        encode_model(model)
        return
    with pytest.raises(ModelFileError, match=message):
        encode_model(model)


def test_decode_model_refuses_a_file_truncated_anywhere() -> None:
    for length in range(len(GOOD)):
        assert_refused(GOOD[:length])
    assert_refused(GOOD[:-1], f"truncated after {len(GOOD) - 1} of {len(GOOD)} bytes")
    assert_refused(GOOD[:20], "truncated")
    assert_refused(b"", "empty")


def test_decode_model_detects_every_altered_byte() -> None:
    for position in range(len(GOOD)):
        altered = bytearray(GOOD)
        altered[position] ^= 1 << position % 8
        assert_refused(bytes(altered))
    assert_refused(GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "altered")
    assert_refused(GOOD + b"\n", "altered")


def test_decode_model_of_a_newer_format_says_so() -> None:
    assert_refused(seal(*open_up(GOOD), version=4), "format version 4, this scenelet reads version 3; upgrade")


def test_decode_model_of_an_old_format_says_so() -> None:
    for version in (1, 2):
        message = f"format version {version}, from before the first release; compress its run again"
        assert_refused(seal(*open_up(GOOD), version=version), message)


def resealed(**changes: object) -> bytes:
    header, body = open_up(GOOD)
    return seal(header | changes, body)


def test_decode_model_accepts_a_resealed_file() -> None:
    assert same_header(decode_model(resealed(), "x"), tiny_model())


HEADER, BODY = open_up(GOOD)
ARRAYS, SECTIONS = HEADER["arrays"], HEADER["sections"]
MASK, HIGH = SECTIONS["masked_fp16.mask"], SECTIONS["masked_fp16.high"]
EXEC = {"op": "Exec", "input": "log_mel", "output": "x"}
LONG_WINDOW = {"seconds": 600.0, "hop_seconds": None, "min_last_fraction": 0.05, "extra": 0}
FALSE_HEADERS: list[tuple[dict, str]] = [
    ({"extra": 1}, "header extra"),
    ({"labels": [1, 2, 3]}, "header labels"),
    ({"nodes": [EXEC, *HEADER["nodes"]]}, "header nodes 0"),
    ({"nodes": HEADER["nodes"] * 300}, "nodes"),
    ({"arrays": [{**ARRAYS[0], "shape": [1 << 24, 1 << 24]}, *ARRAYS[1:]]}, "parameters"),
    ({"arrays": [{**ARRAYS[0], "shape": [1 << 60]}, *ARRAYS[1:]]}, "header arrays 0 shape"),
    ({"arrays": [{**ARRAYS[0], "shape": [-16, 1]}, *ARRAYS[1:]]}, "header arrays 0 shape"),
    ({"arrays": [{**ARRAYS[0], "shape": []}, *ARRAYS[1:]]}, "header arrays 0 shape"),
    ({"arrays": [*ARRAYS, ARRAYS[0]]}, "two arrays"),
    ({"arrays": [*ARRAYS, {"name": "spare", "shape": [1], "encoding": "fp16"}]}, "'spare' is used by no"),
    ({"sections": {**SECTIONS, "masked_fp16.mask": MASK + 1}}, "do not fill"),
    ({"sections": {**SECTIONS, "masked_fp16.mask": MASK + 1, "masked_fp16.high": HIGH - 1}}, "section"),
    ({"sections": {k: v for k, v in SECTIONS.items() if k != "fp16.low"}}, "do not fill"),
    ({"features": {**HEADER["features"], "n_mels": 24}}, "node 0 (ScaleShift 'v0')"),
    ({"features": {**HEADER["features"], "n_mels": 8}}, "sub-bands"),
    ({"window": LONG_WINDOW}, "header window extra"),
    ({"counts": {**HEADER["counts"], "conv_kept": 1 << 40}}, "more parameters kept"),
    ({"counts": {**HEADER["counts"], "conv": "9999"}}, "header counts conv"),
    ({"background": "hum"}, "the background 'hum' is not one of the labels"),
    ({"background": 1}, "header background"),
]


@pytest.mark.parametrize(("changes", "message"), FALSE_HEADERS, ids=[message for _, message in FALSE_HEADERS])
def test_decode_model_refuses_a_false_header(changes: dict, message: str) -> None:
    assert_refused(resealed(**changes), message)


def test_decode_model_refuses_a_section_without_a_use() -> None:
    header = HEADER | {"sections": {**SECTIONS, "other": 4}}
    assert_refused(seal(header, BODY + b"1234"), "'other' does not belong")


@pytest.mark.parametrize("header", [b"[" * 100000, b"\xff\xfe{}", b""], ids=["deep", "not UTF-8", "empty"])
def test_decode_model_refuses_a_header_that_is_not_json(header: bytes) -> None:
    assert_refused(seal(header, BODY), "header")


def test_decode_model_refuses_a_false_header_size() -> None:
    assert_refused(seal(HEADER, BODY, plain_size=1 << 31), "header is larger")
    assert_refused(seal(HEADER, BODY, plain_size=10), "10 bytes")


def test_decode_model_stops_a_decompression_bomb() -> None:
    bomb = b"\0" + zlib.compress(bytes(1 << 24), 9)
    header, body = open_up(GOOD)
    first = next(iter(header["sections"]))
    rest = body[header["sections"][first] :]
    bomb_file = seal(header | {"sections": {**header["sections"], first: len(bomb)}}, bomb + rest)
    tracemalloc.start()
    assert_refused(bomb_file, "does not decompress")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_decode_model_refuses_numbers_that_are_not_finite() -> None:
    header, body = open_up(GOOD)
    sections, offset, parts = header["sections"], 0, {}
    for name in sections:
        parts[name] = body[offset : offset + sections[name]]
        offset += sections[name]
    count = sum(a.size for n, a in tiny_model().arrays.items() if tiny_model().encodings[n] == "fp16")
    high = bytearray(decompress_bytes(parts["fp16.high"], count))
    high[3] = 0x7C
    parts["fp16.high"] = compress_bytes(bytes(high))
    lengths = {name: len(part) for name, part in parts.items()}
    assert_refused(seal(header | {"sections": lengths}, b"".join(parts.values())), "not finite")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_decode_model_of_a_mutated_header_reads_or_refuses(data: st.DataObject) -> None:
    header, body = open_up(GOOD)
    plain = bytearray(json.dumps(header).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(plain) - 1))
        plain[position] = data.draw(st.integers(32, 126))
    with contextlib.suppress(ModelFileError):
        decode_model(seal(bytes(plain), body), "x")


def test_write_model_writes_one_file_that_read_model_reads(tmp_path: Path) -> None:
    path = tmp_path / "model.scn"
    write_model(tiny_model(), str(path))
    assert path.read_bytes() == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.scn"]
    assert same_header(read_model(str(path)), tiny_model())
    assert same_header(read_model(path), tiny_model())


def test_read_model_refuses_other_files_and_names_them(tmp_path: Path) -> None:
    text = tmp_path / "notes.scn"
    text.write_text("three classes\n")
    for path, message in (
        (tmp_path / "missing.scn", "no such file"),
        (tmp_path, "is a folder"),
        (text, "not a model file"),
        (text / "below.scn", "cannot be read"),
    ):
        with pytest.raises(ModelFileError, match=message) as caught:
            read_model(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_write_model_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.scn"
    path.write_bytes(b"before")

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_new_file", full)
    with pytest.raises(OutputError, match="No space left"):
        write_model(tiny_model(), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    with pytest.raises(OutputError, match="is a folder"):
        write_model(tiny_model(), tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        write_model(tiny_model(), tmp_path / "none" / "model.scn")
