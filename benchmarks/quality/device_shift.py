"""Compare ways to train for recording devices that training has not heard: six made microphones, two of them unseen.

    python -m benchmarks.quality.device_shift --data ESC10 --out shift --fold 1 --seed 0
    python -m benchmarks.quality.device_shift --data ESC10 --out shift --results benchmarks/results/device_shift.json

Each made microphone limits the band, has two resonances, saturates and adds noise. A training clip passes through one
of the four seen ones, so that there are no more training clips than without microphones. The first of them has 73 % of
the clips, as device a of TAU 2020 Mobile. A test clip, of the given fold, passes through all six. The clips are written
to OUT, in a table with the columns `device` and `split`.

Each training is stored in a folder of its own in OUT. A second call continues where the first one was interrupted, and
prints all that is finished. Set OMP_NUM_THREADS=1 if several calls run at once.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import fft

from scenelet.audio.io import Samples, read
from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import read_record
from scenelet.data.clips import Clip
from scenelet.data.load import load_table
from scenelet.errors import DataError, SceneletError
from scenelet.evaluation.bootstrap import class_mean, interval_text, paired_test
from scenelet.training.dataset import load_dataset
from scenelet.training.impulse_responses import minimum_phase
from scenelet.training.network import load_network
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.train import train
from scenelet.utils.console import track
from scenelet.utils.files import csv_text, make_folder, replace_file

SEEN, UNSEEN = ("m1", "m2", "m3", "m4"), ("m5", "m6")
DEVICES = (*SEEN, *UNSEEN)
SHARES = (0.73, 0.09, 0.09, 0.09)
"""Shares of the seen devices in the training clips."""
DEVICE_SEED = 2024  # of the microphones; no other was tried
TAPS = 2048
SHORT = ("schedule.epochs=80", "schedule.ema_epochs=11")
PLAIN = (*SHORT, "augment.filter_augment_db=0", "augment.gain_db=0")
STYLE = ("mixing.freq_mixstyle=true",)
RESPONSES = (
    *("waveform.train=true", "waveform.reuse_epochs=4"),
    *("waveform.response_probability=0.5", "waveform.max_rt60_seconds=0"),
)
FEW_CLIPS = ("schedule.epochs=80", "schedule.ema_epochs=11", "schedule.batch_size=16")  # the challenge has many more
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "none": ("low_complexity", PLAIN),
    "Freq-MixStyle": ("low_complexity", PLAIN + STYLE),
    "device responses": ("low_complexity", PLAIN + RESPONSES),
    "both": ("low_complexity", PLAIN + STYLE + RESPONSES),
    "FilterAugment and gain": ("low_complexity", SHORT),
    "standardized by device": ("low_complexity", (*PLAIN, "data.standardize=device")),
    "all": ("low_complexity", SHORT + STYLE + RESPONSES),
    "dcase2024": ("dcase2024", FEW_CLIPS),
    "dcase2024_baseline": ("dcase2024_baseline", FEW_CLIPS),
}
"""Recipe of each method, and its changes."""
REFERENCE = "none"


def microphone_gains(rng: np.random.Generator, hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a microphone's gain in dB at each frequency: a limited band, and two resonances or dips."""
    low, high = rng.uniform(60, 400), rng.uniform(4000, 12000)
    gains = -10 * np.log10(1 + (low / np.maximum(hertz, 1)) ** 4) - 10 * np.log10(1 + (hertz / high) ** 4)
    for _ in range(2):
        center, octaves = np.exp(rng.uniform(np.log(300), np.log(6000))), rng.uniform(0.3, 1)
        peak = rng.choice([-1, 1]) * rng.uniform(4, 10)
        gains += peak * np.exp(-0.5 * (np.log2(np.maximum(hertz, 1) / center) / octaves) ** 2)
    limited: NDArray[np.float64] = np.maximum(gains, -80)
    return limited


def record(samples: Samples, rate: int, device: int, clip: int) -> Samples:
    """Return samples (channels, n) as a made microphone records them.

    Args:
        samples, rate: the sound, and its sample rate in Hz.
        device: index of the microphone in `DEVICES`.
        clip: number of the clip, the seed of its noise.
    """
    rng = np.random.default_rng([DEVICE_SEED, device])
    response = minimum_phase(microphone_gains(rng, fft.rfftfreq(TAPS, 1 / rate)))
    drive, noise_db = rng.uniform(0.5, 3), rng.uniform(-70, -50)
    size = fft.next_fast_len(samples.shape[1] + TAPS - 1, real=True)
    filtered = fft.irfft(fft.rfft(samples, size) * fft.rfft(response, size), size)[:, : samples.shape[1]]
    noise = np.random.default_rng([DEVICE_SEED, device, clip]).standard_normal(filtered.shape)
    recorded: Samples = (np.tanh(drive * filtered) / drive + 10 ** (noise_db / 20) * noise).astype(np.float32)
    return recorded


def write_recordings(data: Path, out: Path, fold: str) -> Path:
    """Write the clips of all microphones and their table, if it does not exist yet. Return its path."""
    folder = out / f"fold-{fold}"
    table = folder / "meta.csv"
    if table.exists():
        return table
    clips = load_table(data).clips
    if not any(clip.fold == fold for clip in clips):
        raise DataError(f"{data}: no clips in fold {fold!r}")
    make_folder(folder / "audio")
    rows = []
    devices = np.random.default_rng(DEVICE_SEED).choice(len(SEEN), len(clips), p=SHARES)
    for number, clip in enumerate(track(clips, "Recording", len(clips))):
        samples, rate = read(clip.path)
        is_test = clip.fold == fold
        for device in range(len(DEVICES)) if is_test else [devices[number]]:
            name = f"{Path(clip.name).stem}-{DEVICES[device]}.wav"
            recorded = record(samples, rate, device, number).T
            soundfile.write(folder / "audio" / name, recorded.clip(-1, 1), rate, subtype="PCM_16")
            rows.append([name, clip.label, clip.group, DEVICES[device], "test" if is_test else "train"])
    replace_file(table, csv_text(["filename", "label", "group", "device", "split"], rows))
    return table


def run(table_path: Path, out: Path, method: str, fold: str, seed: int) -> None:
    """Train and test one method with one seed, and store the answers to the test clips."""
    name = f"fold-{fold}-{method.replace(' ', '_')}-{seed}"
    if (out / f"{name}.json").exists():
        return
    table = load_table(table_path)
    recipe, changes = METHODS[method]
    config: RunConfig = load_recipe(recipe, changes, {"seed": seed})
    metrics = train(table, out / name, config, resume=True, description=name)
    dataset = load_dataset(table, config)
    assert dataset.test is not None
    network = load_network(out / name, read_record(out / name))
    probabilities = clip_probabilities(network, dataset.test.features)
    result = {
        **{"method": method, "fold": fold, "seed": seed, "minutes": metrics["minutes"]},
        "clips": [_row(clip) for clip in dataset.split.test],
        "targets": dataset.test.targets.tolist(),
        "answers": probabilities.argmax(1).tolist(),
    }
    replace_file(out / f"{name}.json", json.dumps(result) + "\n")


def _row(clip: Clip) -> dict[str, str | None]:
    return {"name": clip.name, "group": clip.group, "device": clip.device}


def summarize(out: Path) -> list[dict[str, Any]]:
    """Return the macro accuracy of each method on seen and unseen devices, with 95 % intervals over groups of clips.

    Hits are averaged over seeds. A method is compared with `REFERENCE` on the clips and seeds that both have.
    """
    results = [json.loads(path.read_text()) for path in sorted(out.glob("fold-*.json"))]
    rows = []
    for method in METHODS:
        own = {(each["fold"], each["seed"]): each for each in results if each["method"] == method}
        other = {(each["fold"], each["seed"]): each for each in results if each["method"] == REFERENCE}
        if not own:
            continue
        shared = sorted(own.keys() & other.keys())
        row: dict[str, Any] = {"method": method, "trainings": len(own), "runs": sorted(map(list, own))}
        row["minutes"] = float(np.mean([each["minutes"] for each in own.values()]))
        for subset, devices in (("seen", SEEN), ("unseen", UNSEEN)):
            row[subset] = _accuracy(list(own.values()), devices)
            if method != REFERENCE and shared:
                row[f"{subset}_difference"] = _difference(
                    [own[key] for key in shared], [other[key] for key in shared], devices
                )
        row["by_seed"] = {
            f"fold {fold}, seed {seed}": {
                subset: _accuracy([each], devices)["value"] for subset, devices in (("seen", SEEN), ("unseen", UNSEEN))
            }
            for (fold, seed), each in sorted(own.items())
        }
        row["by_device"] = {device: _accuracy(list(own.values()), [device])["value"] for device in DEVICES}
        rows.append(row)
    return rows


Hits = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.object_]]


def _hits(results: Sequence[dict[str, Any]], devices: Sequence[str]) -> Hits:
    """Return hits, targets and groups of the test clips of some devices; hits are means over the seeds of a fold."""
    hits: list[float] = []
    targets: list[int] = []
    groups: list[str] = []
    for fold in sorted({each["fold"] for each in results}):
        same = [each for each in results if each["fold"] == fold]
        answers = np.array([each["answers"] for each in same])
        own = np.array(same[0]["targets"])
        kept = [index for index, clip in enumerate(same[0]["clips"]) if clip["device"] in devices]
        hits += (answers == own).mean(axis=0)[kept].tolist()
        targets += own[kept].tolist()
        groups += [same[0]["clips"][index]["group"] for index in kept]
    return np.array(hits), np.array(targets), np.array(groups, object)


def _accuracy(results: Sequence[dict[str, Any]], devices: Sequence[str]) -> dict[str, Any]:
    return asdict(class_mean(*_hits(results, devices), np.random.default_rng(0)))


def _difference(
    results: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], devices: Sequence[str]
) -> dict[str, Any]:
    hits, targets, groups = _hits(results, devices)
    interval, p = paired_test(hits, _hits(others, devices)[0], targets, groups, np.random.default_rng(0))
    return asdict(interval) | {"p": p}


def print_summary(rows: Sequence[dict[str, Any]]) -> None:
    """Print the results as a Markdown table."""
    print("| method | seen devices, % | difference | unseen devices, % | difference | trainings | minutes |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [row["method"]]
        for subset in ("seen", "unseen"):
            cells.append(interval_text(row[subset], 1, 100))
            gain = row.get(f"{subset}_difference")
            cells.append("" if gain is None else interval_text(gain, 1, 100, sign=True))
        print(f"| {' | '.join(cells)} | {row['trainings']} | {row['minutes']:.1f} |")


def main() -> None:
    """Run the trainings of one fold and seed, and print a summary of all that are finished."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="ESC-10")
    parser.add_argument("--out", type=Path, required=True, help="folder of the recordings and trainings")
    parser.add_argument("--fold", default="1", help="fold of the test clips")
    parser.add_argument("--seed", type=int, help="seed of the trainings; without it, nothing is trained")
    parser.add_argument("--method", action="append", choices=list(METHODS), help="methods to train; all by default")
    parser.add_argument("--results", type=Path, help="JSON file for the summary")
    options = parser.parse_args()
    try:
        if options.seed is not None:
            table = write_recordings(options.data, options.out, options.fold)
            for method in options.method or METHODS:
                run(table, options.out, method, options.fold, options.seed)
        rows = summarize(options.out)
        if options.results is not None:
            replace_file(options.results, json.dumps({"rows": rows}, indent=1) + "\n")
        print_summary(rows)
    except SceneletError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
