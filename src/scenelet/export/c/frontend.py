"""C99 sources of a model's front end: tables and settings, next to code that all models share."""

import math
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.silence import MIN_HZ, MIN_PEAK, SETTLING_SECONDS
from scenelet.errors import ModelFileError
from scenelet.export.c.golden import golden_header
from scenelet.export.c.literals import c_comment, c_float, c_numbers, c_table
from scenelet.export.c.tables import Tables, frontend_flash, frontend_ram
from scenelet.model.scene_model import SceneModel

SOURCES = (
    "scenelet_arithmetic.h",
    "scenelet_frontend.c",
    "scenelet_frontend.h",
    "scenelet_silence.c",
    "scenelet_spectrum.c",
    "scenelet_stream.c",
    "test_frontend.c",
    "Makefile",
)
"""Files in `sources/` that every export holds."""


def frontend_files(model: SceneModel) -> dict[str, str]:
    """Return the C99 sources of a model's front end with its test, by file name.

    Args:
        model: the content of a `.scn` file.

    Raises:
        ModelFileError: n_fft is not a power of two, or the mel bands are too narrow.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> files = frontend_files(read_model(built_in("esc10")))
    >>> "#define SCENELET_N_FFT 2048" in files["model_frontend.h"]
    True
    """
    n_fft = model.features.n_fft
    if n_fft & (n_fft - 1):
        raise ModelFileError(
            f"the model has n_fft = {n_fft}, and the C front end needs a power of two;"
            f" train with features.n_fft = {1 << n_fft.bit_length()}"
        )
    tables = Tables(model)
    sources = resources.files("scenelet.export.c") / "sources"
    return {
        "model_frontend.h": _header(tables),
        "model_frontend.c": _source(tables),
        "golden_frontend.h": golden_header(model),
        **{name: (sources / name).read_text(encoding="utf-8") for name in SOURCES},
    }


def _header(tables: Tables) -> str:
    features, window, ram = tables.features, tables.window, frontend_ram(tables)
    flash = {fixed: frontend_flash(tables, fixed) for fixed in (False, True)}
    rate = features.sample_rate
    settling = round(SETTLING_SECONDS * rate)
    ratio = np.float32(10 ** (-window.silence_threshold_db / 20))
    mantissa, exponent = math.frexp(float(ratio))
    settings = {
        "SAMPLE_RATE": rate,
        "SAMPLES": tables.samples,
        "HOP": window.hop_samples(rate),
        "CHANNELS": features.n_channels,
        "MID_SIDE": int(features.channels == "mid-side"),
        "N_FFT": features.n_fft,
        "ODD_LOG2": (features.n_fft.bit_length() - 2) % 2,
        "WIN_LENGTH": features.win_length or features.n_fft,
        "HOP_LENGTH": features.hop_length,
        "FRAMES": features.n_frames(tables.samples),
        "MELS": features.n_mels,
        "POWER": features.power,
        "LOG_BEFORE_MEL": int(features.log_before_mel),
        "REPEAT": int(window.pad_mode == "repeat"),
        "MIN_SOUND_SAMPLES": min(window.min_sound_samples(rate), tables.samples),
        "MIN_SOUND_FRAMES": max(1, round(min(window.min_sound_seconds, window.seconds) * rate / features.hop_length)),
        "STEPS_PER_DB": 1 << tables.value_bits,
        "MAX_STEP": int(float(np.float32(2 * math.pi * MIN_HZ / rate)) * 2**27),
        "MIN_PEAK": math.ceil(MIN_PEAK * 2**27),
        "SETTLING": settling if tables.samples >= 2 * settling else 0,
        "HIGH_PASS": _high_pass(rate),
    }
    unit = 2**16 if features.log_before_mel else 1 << tables.value_bits
    fixed = {
        "VALUE_BITS": tables.value_bits,
        "SUM_SHIFT": tables.sum_shift,
        "RANGE": round(min(features.top_db, 1000.0) * unit),
        "SILENCE_MANTISSA": int(mantissa * 2**24),
        "SILENCE_SHIFT": 24 - exponent,
        "LOG2_COEFFICIENTS": _braces(_log2_coefficients()),
    }
    single = {"RANGE": c_float(features.top_db), "SILENCE": c_float(float(ratio))}
    return f"""\
/* Settings and tables of one model's front end, written by scenelet export.
   Features: {c_comment(features.model_dump())}
   Window: {c_comment(window.model_dump())}

   Bytes of RAM: scenelet_frontend {ram["frontend"]}; scenelet_stream {ram["stream"]} with samples of 16 bits and fixed
   point, {ram["stream_float"]} with samples of 32 bits in floating point. Outside of these: log-mel {ram["log_mel"]} in
   fixed point and {2 * ram["log_mel"]} in floating point. Without streaming, the samples of a window take
   {ram["samples"]} with 16 bits and {2 * ram["samples"]} with 32.
   Bytes of flash for the tables: {flash[True]} in fixed point, {flash[False]} in floating point. */
#ifndef SCENELET_MODEL_FRONTEND_H
#define SCENELET_MODEL_FRONTEND_H

#include <stdint.h>

/* 1: integers only, for processors without floating point, and samples of 16 bits */
#ifndef SCENELET_FIXED_POINT
#define SCENELET_FIXED_POINT 0
#endif
/* 1: the floating-point front end takes samples of 16 bits as well */
#ifndef SCENELET_INT16_SAMPLES
#define SCENELET_INT16_SAMPLES 0
#endif

{_macros(settings)}

typedef struct {{
    uint16_t first, count; /* bins */
#if SCENELET_FIXED_POINT
    int16_t exponent; /* of the weights */
#endif
#if SCENELET_LOG_BEFORE_MEL && SCENELET_FIXED_POINT
    int64_t offset;
#elif SCENELET_LOG_BEFORE_MEL
    float offset;
#endif
}} scenelet_band;

#if SCENELET_FIXED_POINT
{_macros(fixed)}
typedef int32_t scenelet_factor;
typedef uint16_t scenelet_weight;
#else
{_macros(single)}
typedef float scenelet_factor;
typedef float scenelet_weight;
#endif

extern const scenelet_factor scenelet_window[], scenelet_sine[];
extern const scenelet_band scenelet_bands[SCENELET_MELS];
extern const scenelet_weight scenelet_weights[];

#endif
"""


def _source(tables: Tables) -> str:
    factor, weight = "const scenelet_factor scenelet_", "const scenelet_weight scenelet_weights[]"
    band = "const scenelet_band scenelet_bands[SCENELET_MELS]"
    offsets = [c_float(offset) for offset in tables.offsets]
    # an offset is in the unit of the sum of weights times levels
    units = [round(offset * 2.0 ** (16 - e)) for offset, e in zip(tables.offsets, tables.exponents, strict=True)]
    fixed = [[str(e), f"INT64_C({unit})"] for e, unit in zip(tables.exponents, units, strict=True)]
    single = [[offset] for offset in offsets]
    lines = [
        '#include "model_frontend.h"',
        "",
        "/* half of the window function, times 0.5; one period of a sine */",
        "#if SCENELET_FIXED_POINT",
        *c_table(f"{factor}window[]", c_numbers(_to_31_bits(tables.half_window))),
        *c_table(f"{factor}sine[]", c_numbers(_to_31_bits(tables.sine))),
        *c_table(band, _band_entries(tables, fixed)),
        *c_table(weight, c_numbers(tables.mantissas)),
        "#else",
        *c_table(f"{factor}window[]", c_numbers(tables.half_window)),
        *c_table(f"{factor}sine[]", c_numbers(tables.sine)),
        *c_table(band, _band_entries(tables, single)),
        *c_table(weight, c_numbers(tables.weights)),
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _band_entries(tables: Tables, fields: list[list[str]]) -> list[str]:
    """Return the initializers of the bands. Offsets, the last fields, exist only if decibels come before mel bands."""
    if not tables.features.log_before_mel:
        fields = [each[:-1] for each in fields]
    return [_braces([first, count, *each]) for (first, count), each in zip(tables.bands, fields, strict=True)]


def _to_31_bits(values: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.minimum(np.round(values.astype(np.float64) * 2**31), 2**31 - 1).astype(np.int64)


def _log2_coefficients() -> list[int]:
    """Return the coefficients, in 30 bits, of q in log2(1 + f) = f + f (1 - f) q(f), from the highest power."""
    f = np.cos(np.pi * (np.arange(64) + 0.5) / 64) / 2 + 0.5
    fit = np.polynomial.Polynomial.fit(f, (np.log2(1 + f) - f) / (f * (1 - f)), 4).convert()
    return [round(float(each) * 2**30) for each in fit.coef[::-1]]


def _high_pass(sample_rate: int) -> str:
    """Return the factors, in 30 bits, of the two sections of a Butterworth high-pass filter at `MIN_HZ`."""
    g = math.tan(math.pi * MIN_HZ / sample_rate)
    sections = []
    for damping in (2 * math.cos(math.pi / 8), 2 * math.cos(3 * math.pi / 8)):
        first = 1 / (1 + g * (g + damping))
        sections.append(_braces([round(each * 2**30) for each in (first, g * first, g * g * first, damping)]))
    return _braces(sections)


def _braces(values: list[Any]) -> str:
    return f"{{{', '.join(map(str, values))}}}"


def _macros(values: dict[str, Any]) -> str:
    return "\n".join(f"#define SCENELET_{name} {value}" for name, value in values.items())
