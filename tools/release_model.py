"""Train the built-in model on folds 2 to 5 of ESC-10, test it on fold 1, and write its card.

    python tools/release_model.py ESC10 --out ship
    python tools/release_model.py ESC10 --out ship --install
    python tools/release_model.py ESC10 --out ship --model MODEL.scn

ESC10 is a folder with `meta.csv` (filename,label,fold,group,source,license; the last two are the author and the terms
of each recording) and `audio/`. The script does the same as these commands:

    scenelet train ESC10 --recipe default --fold 1 --out OUT/run
    scenelet compress OUT/run --out OUT/esc10.scn
    scenelet evaluate OUT/esc10.scn ESC10 --out OUT/report

It also writes `esc10.md` (the model card), `esc10.predictions.csv` (the prediction for each test clip),
`esc10.sources.csv` (the authors of the training recordings) and a test clip as an example. `--install` copies these
five files into the package. `--model` takes a file of the model in place of training. It adds what `compress` adds
after the training: temperature, threshold and known sounds. The stored weights stay as they are.
"""

import argparse
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scenelet.config.recipes import load_recipe
from scenelet.data.delimited import read_rows
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.errors import SceneletError
from scenelet.evaluation.bootstrap import interval_text
from scenelet.evaluation.evaluate import evaluate
from scenelet.evaluation.metrics import classification_report
from scenelet.inference.threshold import find_threshold
from scenelet.model.file import read_model, write_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.summary import describe
from scenelet.training.compression.build_model import RESULT_KEYS
from scenelet.training.compression.calibration import calibrate
from scenelet.training.compression.compress import compress
from scenelet.training.compression.known_sounds import find_known_sounds
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.train import train
from scenelet.utils.files import csv_text, make_folder, replace_file

MODELS = Path(__file__).parent.parent / "src" / "scenelet" / "model" / "pretrained"
NAME, RECIPE, FOLD, LARGEST = "esc10", "default", "1", 500_000
EXAMPLE = "1-100032-A.ogg"  # the first clip of fold 1 in the table that is CC0
TERMS = {
    "CC-BY": "http://creativecommons.org/licenses/by/3.0/",
    "CC0": "http://creativecommons.org/publicdomain/zero/1.0/",
    "CC-Sampling+": "http://creativecommons.org/licenses/sampling+/1.0/",
}
ATTRIBUTION = (
    'ESC-10, K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015,'
    f" https://doi.org/10.1145/2733373.2806390, CC-BY 3.0, {TERMS['CC-BY']}"
)

CARD = """# esc10

A classifier of ten environmental sounds: {labels}.
It is one file of {bytes:,} bytes, trained with scenelet's `{recipe}` recipe.

```console
$ scenelet predict esc10 recording.wav
```

| on the {clips} clips of fold 1 ({groups} original recordings), not used for training | |
|---|---|
| macro accuracy, % [95 %] | {accuracy} |
| log loss [95 %] | {log_loss} |
| macro accuracy before compression, % | {dense:.2f} |

| class | clips | correct | confused with |
|---|---|---|---|
{classes}

{kept:,} of {parameters:,} parameters kept; {macs:,} multiply-accumulates per {seconds:g} s of sound at {rate:,} Hz.
The file `esc10.predictions.csv` has the prediction for every test clip. `scenelet evaluate esc10 ESC10 --fold 1`
computes them again. ESC10 is a folder with the author's original clips, in Ogg. (`scenelet fetch esc10` downloads the
WAV versions from ESC-50.)

**Limits.** The model knows ten sounds. It was trained on {train} clips, so it may confuse a sound of an unfamiliar kind
with one of its classes. Answers below {threshold:.1f} % and sounds with a similarity below {similarity:.4f} to all
classes are unsure, but many sounds of other kinds pass both rules. Threshold, similarity and the temperature of the
probabilities ({temperature:.2f}) come from the same {clips} clips of fold 1 as the metrics. So the metrics do not show
how well these three values suit other recordings, and the log loss may be optimistic for this reason too. The metrics
come from one training run and one fold. Earlier runs that were measured on fold 1 influenced the recipe, so the metrics
may be optimistic. `docs/results.md` reports all five folds, and which folds influenced which choice.

**Sources of the recordings.** {attribution}.
The clips of ESC-10 are excerpts of recordings that were shared on Freesound, each under its own license.
Licenses of the {train} training clips: {licenses}.
The file `esc10.sources.csv` lists title, author, license and address of each. ESC-10 cut and re-encoded the
recordings. scenelet converted them to log-mel bands and fitted weights to these. The model contains no recording.
{sampling}

**License.** We license our own rights in the weights under CC-BY 3.0. `esc10.example.ogg` is the clip
{example}: {example_source}, {example_license}.
"""
SAMPLING = """Sampling Plus 1.0, whose terms exclude advertising, applies to: {names}."""


@dataclass(frozen=True)
class Source:
    """Origin of a clip: file name, "clip derived from TITLE (ADDRESS) by AUTHOR", and the short name of its terms."""

    filename: str
    source: str
    license: str


def read_sources(data: Path) -> dict[str, Source]:
    """Read the origin of each clip by file name.

    Raises:
        DataError: the table lacks these columns.
        SystemExit: it names unknown terms.
    """
    rows = read_rows(data / "meta.csv", ("filename", "source", "license"))
    sources = [Source(row.values["filename"], row.values["source"], row.values["license"]) for row in rows]
    unknown = sorted({source.license for source in sources} - set(TERMS))
    if unknown:
        raise SystemExit(f"{data / 'meta.csv'}: terms unknown here: {', '.join(unknown)}; add their address to TERMS")
    return {source.filename: source for source in sources}


def card(
    report: dict[str, Any], dense: float, described: dict[str, Any], sources: list[Source], example: Source
) -> str:
    """Return the model card, with the results and the sources of the training clips.

    Args:
        report: of `scenelet.evaluation.evaluate`, on the test clips.
        dense: macro accuracy before compression, 0 to 1.
        described: of `scenelet.model.summary`.
        sources: of the clips that it learnt from.
        example: of the clip that is shipped.
    """
    intervals = report["intervals"]
    rows = []
    for label, row in zip(report["labels"], report["confusion"], strict=True):
        wrong = [f"{other} {n}" for other, n in zip(report["labels"], row, strict=True) if n and other != label]
        right = row[report["labels"].index(label)]
        rows.append(f"| {label} | {sum(row)} | {right} | {', '.join(wrong)} |")
    counts = Counter(source.license for source in sources).most_common()
    sampled = [f"{source.filename}, {source.source}" for source in sources if source.license == "CC-Sampling+"]
    return CARD.format(
        labels=", ".join(report["labels"]),
        bytes=described["bytes"]["disk"],
        recipe=RECIPE,
        clips=report["clips"],
        groups=report["groups"],
        accuracy=interval_text(intervals["macro_accuracy"], 2, 100),
        log_loss=interval_text(intervals["log_loss"], 3),
        dense=100 * dense,
        threshold=100 * described["results"]["threshold"]["probability"],
        similarity=described["min_similarity"],
        temperature=described["results"]["calibration"]["temperature"],
        classes="\n".join(rows),
        kept=described["parameters_kept"],
        parameters=described["parameters"],
        macs=described["macs"],
        seconds=described["window"]["seconds"],
        rate=described["features"]["sample_rate"],
        train=len(sources),
        attribution=ATTRIBUTION,
        licenses=", ".join(f"{count} {license} ({TERMS[license]})" for license, count in counts),
        sampling=SAMPLING.format(names="; ".join(sampled)) if sampled else "",
        example=example.filename,
        example_source=example.source,
        example_license=f"{example.license} ({TERMS[example.license]})",
    )


def with_results(model: SceneModel, dataset: Dataset) -> SceneModel:
    """Return a model, which `compress` made before it had these rules, with temperature, threshold and known sounds.

    Raises:
        SystemExit: the model is calibrated already.
    """
    if "calibration" in model.results:
        raise SystemExit("the model is calibrated already; give the file that was made before")
    calibrated = calibrate(model, dataset)
    known, record = find_known_sounds(model, dataset)
    ((subset, clips),) = dataset.held_out()
    report = classification_report(clips.targets, calibrated.answers[subset], dataset.labels)
    results = {
        "compressed": {subset: {key: report[key] for key in RESULT_KEYS}},
        "threshold": {"subset": subset, **asdict(find_threshold(clips.targets, calibrated.answers[subset]))},
        "calibration": dict(calibrated.calibration),
        "known_sounds": record,
    }
    return replace(calibrated.model, results=model.results | results, known=known)


def ship(data: Path, out: Path, trained: Path | None = None) -> list[Path]:
    """Train, compress and evaluate the model, and return the five files.

    Args:
        data: ESC-10.
        out: folder of the files.
        trained: a file of the model to take in place of training, see `with_results`.

    Raises:
        SceneletError: as the commands.
        SystemExit: the data is not ESC-10 with its sources, or the file is too large.
    """
    config = load_recipe(RECIPE, [f'split.fold="{FOLD}"'])
    run, model = out / "run", out / f"{NAME}.scn"
    split = make_split(load_table(data), config.split)
    sources = read_sources(data)
    test = {clip.name: clip.path for clip in split.test}
    unknown = [clip.name for clip in split.train if clip.name not in sources]
    if EXAMPLE not in test or unknown:
        raise SystemExit(f"{data}: not ESC-10 as its author published it; {EXAMPLE} is not in fold {FOLD}")
    if trained is None:
        train(data, run, config, recipe=RECIPE, resume=run.exists())
        compress(run, model)
        content = read_model(model)
        content = replace(content, licenses=[*content.licenses, ATTRIBUTION])
    else:
        content = with_results(read_model(trained), load_dataset(load_table(data), config))
    make_folder(out)
    write_model(content, model)
    dense = content.results["dense"]["test"]["macro_accuracy"]
    if model.stat().st_size > LARGEST:
        raise SystemExit(f"{model}: has {model.stat().st_size:,} bytes, more than {LARGEST:,}")
    report = evaluate(str(model), data, out / "report")
    own = [sources[clip.name] for clip in split.train]
    rows = ([source.filename, source.source, source.license, TERMS[source.license]] for source in own)
    files: dict[str, bytes | str] = {
        "predictions.csv": (out / "report" / "predictions.csv").read_bytes(),
        "sources.csv": csv_text(["filename", "source", "license", "terms"], rows),
        "md": card(report, dense, describe(model), own, sources[EXAMPLE]),
        "example.ogg": test[EXAMPLE].read_bytes(),
    }
    for ending, text in files.items():
        replace_file(out / f"{NAME}.{ending}", text)
    return [model, *(out / f"{NAME}.{ending}" for ending in files)]


def main() -> None:
    """Make the files, and install them where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a file of the model to take in place of training")
    parser.add_argument("--install", action="store_true", help="put the files into the package")
    options = parser.parse_args()
    try:
        files = ship(options.data, options.out, options.model)
        for file in files if options.install else ():
            replace_file(MODELS / file.name, file.read_bytes())
    except SceneletError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
