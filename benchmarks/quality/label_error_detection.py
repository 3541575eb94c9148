"""Count how many planted wrong labels and near-duplicates `scenelet check` finds in a copy of ESC-10.

    python -m benchmarks.quality.label_error_detection ESC10 --out planted.json

ESC10 is a folder with `meta.csv` (filename,label,fold,group) and `audio/`. For each seed (0, 1 and 2 by default), the
benchmark changes the labels of 20 clips of folds 2 to 5. Then it puts 10 modified copies of such clips into fold 1, one
of each kind. It prints a Markdown table and writes the numbers to the file `--out`.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from scenelet.audio.io import read
from scenelet.utils.files import csv_text, replace_file

Samples = NDArray[np.float32]
Row = dict[str, str]
WRONG, FIRST = 20, 40
HELD_OUT = "1"


def with_noise(samples: Samples, rng: np.random.Generator) -> Samples:
    """Add white noise 30 dB below the mean power of the recording."""
    rms = np.sqrt(np.mean(samples**2))
    return samples + (rms * 10**-1.5 * rng.standard_normal(samples.shape)).astype(np.float32)


def equalized(samples: Samples, rate: int) -> Samples:
    """Change the level by up to 4 dB, up and down over the octaves."""
    hz = np.maximum(np.fft.rfftfreq(samples.shape[1], 1 / rate), 20.0)
    gain_db = np.interp(np.log2(hz), np.log2([20, 200, 800, 3000, 8000, 20000]), [4, -4, 3, -3, 4, -4])
    spectrum = np.fft.rfft(samples) * 10 ** (gain_db / 20)
    return np.fft.irfft(spectrum, samples.shape[1]).astype(np.float32)


def later(samples: Samples, rate: int, seconds: float) -> Samples:
    """Add silence at the start."""
    return np.pad(samples, ((0, 0), (round(seconds * rate), 0)))


def write(path: Path, samples: Samples, rate: int) -> None:
    """Write the format that the file name asks for: WAV, MP3 or Ogg."""
    soundfile.write(path, np.clip(samples.T, -1, 1), rate)


def resampled(path: Path, samples: Samples, rate: int, to: int) -> None:
    """Write the recording at another sample rate."""
    write(path, soxr.resample(samples.T, rate, to).T, to)


Plant = Callable[[Path, Samples, int, np.random.Generator], None]
KINDS: dict[str, tuple[str, Plant]] = {
    "quieter by 10 dB": (".wav", lambda path, x, rate, _: write(path, x * np.float32(0.316), rate)),
    "MP3": (".mp3", lambda path, x, rate, _: write(path, x, rate)),
    "Ogg": (".ogg", lambda path, x, rate, _: write(path, x, rate)),
    "at 16 kHz": (".wav", lambda path, x, rate, _: resampled(path, x, rate, 16000)),
    "at 48 kHz": (".wav", lambda path, x, rate, _: resampled(path, x, rate, 48000)),
    "noise at 30 dB": (".wav", lambda path, x, rate, rng: write(path, with_noise(x, rng), rate)),
    "0.3 s cut off": (".wav", lambda path, x, rate, _: write(path, x[:, round(0.3 * rate) :], rate)),
    "0.4 s later": (".wav", lambda path, x, rate, _: write(path, later(x, rate, 0.4013), rate)),
    "equalized": (".wav", lambda path, x, rate, _: write(path, equalized(x, rate), rate)),
    "stereo, 6 dB apart": (
        ".wav",
        lambda path, x, rate, _: write(path, np.concatenate([x[:1], x[:1] * np.float32(0.5)]), rate),
    ),
}


def checked(folder: Path, rows: list[Row], *options: str) -> list[dict[str, object]]:
    """Write the table next to the audio and return the findings of `scenelet check --format json`."""
    replace_file(folder / "meta.csv", csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    command = [sys.executable, "-m", "scenelet", "check", str(folder), "--quiet", "--format", "json", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    findings: list[dict[str, object]] = json.loads(done.stdout)["findings"]
    return findings


def wrong_labels(folder: Path, rows: list[Row], seed: int) -> dict[str, int]:
    """Count the planted labels among the first candidates, for all clips and with fold 1 held out."""
    rng = np.random.default_rng(seed)
    labels = sorted({row["label"] for row in rows})
    changed = [dict(row) for row in rows]
    places = [i for i, row in enumerate(rows) if row["fold"] != HELD_OUT]
    chosen = rng.choice(places, WRONG, replace=False)
    for i in chosen:
        changed[i]["label"] = labels[(labels.index(rows[i]["label"]) + rng.integers(1, len(labels))) % len(labels)]
    names = {rows[i]["filename"] for i in chosen}
    figures = {}
    for what, options in (("of all folds", ()), ("fold 1 held out", ("--fold", HELD_OUT))):
        doubted = [f["clips"][0] for f in checked(folder, changed, *options) if f["kind"] == "label"]  # type: ignore[index]
        figures |= {f"{what}, doubted": len(doubted), f"{what}, planted": len(names & set(doubted[:FIRST]))}
    return figures


def near_duplicates(folder: Path, rows: list[Row], seed: int) -> tuple[list[str], int]:
    """Return the kinds that were not found across the folds, and the number of pairs that were not planted."""
    rng = np.random.default_rng([seed, 1])
    places = [i for i, row in enumerate(rows) if row["fold"] != HELD_OUT]
    extended, pairs = [dict(row) for row in rows], {}
    for (kind, (ending, plant)), i in zip(KINDS.items(), rng.choice(places, len(KINDS), replace=False), strict=True):
        name = f"planted-{len(pairs)}{ending}"
        samples, rate = read(folder / "audio" / rows[i]["filename"])
        plant(folder / "audio" / name, samples, rate, rng)
        pairs[kind] = {name, rows[i]["filename"]}
        extended.append(dict(rows[i]) | {"filename": name, "fold": HELD_OUT, "group": name})
    found = checked(folder, extended)
    across = [set(f["clips"]) for f in found if f["kind"] == "near duplicate across subsets"]  # type: ignore[call-overload]
    same = [f for f in found if f["kind"] == "duplicate" and f["severity"] == "error"]
    across += [set(f["clips"]) for f in same]  # type: ignore[call-overload]
    missed = [kind for kind, pair in pairs.items() if not any(pair <= clips for clips in across)]
    return missed, sum(not any(pair <= clips for pair in pairs.values()) for clips in across)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="write the figures here")
    options = parser.parse_args()
    results = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            shutil.copytree(options.data / "audio", folder / "audio")
            with (options.data / "meta.csv").open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            figures: dict[str, object] = {"seed": seed, **wrong_labels(folder, rows, seed)}
            missed, others = near_duplicates(folder, rows, seed)
            results.append(figures | {"near-duplicates missed": missed, "other pairs across folds": others})
    print(
        "| seed | wrong labels among the first 40 | doubted in all | the same, fold 1 held out | near-duplicates"
        " | other pairs |"
    )
    print("|---|---|---|---|---|---|")
    for row in results:
        missed = row["near-duplicates missed"]
        found = f"{len(KINDS) - len(missed)} of {len(KINDS)}" + (f" (not: {', '.join(missed)})" if missed else "")  # type: ignore[arg-type]
        print(
            f"| {row['seed']} | {row['of all folds, planted']} of {WRONG} | {row['of all folds, doubted']}"
            f" | {row['fold 1 held out, planted']} of {WRONG}, {row['fold 1 held out, doubted']} doubted"
            f" | {found} | {row['other pairs across folds']} |"
        )
    if options.out is not None:
        replace_file(options.out, json.dumps({"data": options.data.name, "seeds": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
