"""Seeds for tables, recipes and lists. The recipes are those of scenelet."""

import dataclasses
import io
from importlib import resources

import pyarrow
from pyarrow import parquet

from fuzz.targets import SEPARATOR
from helpers.example_submission import valid_meta_bytes, valid_output
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.details import example


def _tables() -> list[bytes]:
    head = b"filename,label,fold,group,split,city,source,license,device,percent\n"
    rows = [b"a.wav,x,1,g,train,oslo,made here,CC0,s1,25\n", b'"b, c.wav",y,2,h,test,rome,made,CC-BY,a,\n']
    tabs = (head + b"".join(rows[:1])).replace(b",", b"\t") + b"c.wav\ty\t12\t\t\t\t\t\t\t\n"
    audacity = b"0.5\t1.25\tx\n\\\t100.0\t900.5\n1,5\t2\ty\n"
    raven = b"Selection\tView\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tAnnotation\n"
    raven += b"1\tWaveform 1\t0.5\t1\ta.wav\t0.5\tx\n1\tSpectrogram 1\t0.5\t1\ta.wav\t0.5\tx\n"
    raven += b"2\tWaveform 1\t9\t10\tb.wav\t1\ty\n"
    audioset = b"# Segments csv\n# YTID, start_seconds, end_seconds, positive_labels\n"
    audioset += b'-a_1, 30.000, 40.000, "/m/1"\nb, 0.000, 10.000, "/m/2"\n'
    times = b"filename,label,start,end\na.wav,x,0.5,1.5\na.wav,y,2,3\nb.wav,y,,\n"
    bom = b"\xef\xbb\xbffilename;label\r\na.wav;x\r\nb.wav;y\r\n\r\n"
    return [head + b"".join(rows), tabs, bom, times, audacity, raven, audioset]


def _tau() -> list[bytes]:
    names = [f"{scene}-oslo-1-{n}-a.wav" for n, scene in enumerate(("airport", "bus", "park"))]
    endings = ("-0-a.wav", "-9-s4.wav")
    slices = [name.replace("-a.wav", ending) for ending in endings for name in names]
    return [_root(names[:2], names[2:]), _root(slices[:4], slices[4:], slices[:3], slices[:4])]


def _root(train: list[str], test: list[str], *lists: list[str]) -> bytes:
    """Write a TAU root, with the training lists of 5 and 25 % and the test list if `lists` has the first two."""
    meta = "filename\tscene_label\tidentifier\tsource_label\n"
    for name in (*train, *test):
        scene, city, location, *_, device = name.removesuffix(".wav").split("-")
        meta += f"audio/{name}\t{scene}\t{city}-{location}\t{device}\n"
    test_names = "filename\n" + "".join(f"audio/{name}\n" for name in test)
    texts = [meta, _list(train), test_names, *map(_list, (*lists, test) if lists else ())]
    return SEPARATOR.join(text.encode() for text in texts)


def _list(names: list[str]) -> str:
    return "filename\tscene_label\n" + "".join(f"audio/{name}\t{name.partition('-')[0]}\n" for name in names)


def _recipes() -> list[bytes]:
    files = resources.files("scenelet.config.recipes")
    texts = [files.joinpath(f"{name}.toml").read_bytes() for name in ("comparison", "low_complexity", "pruned_a")]
    changes = [b"schedule.epochs=20", b"split.fold=1+2", b"network.stem_stride=[2, 4]", b"mixing.combine=none"]
    return [*texts, SEPARATOR.join([texts[0], *changes])]


def _systems() -> list[bytes]:
    folder = resources.files("scenelet.experiments").joinpath("tables")
    return [file.read_bytes() for file in sorted(folder.iterdir(), key=str) if file.is_file()]


def _details() -> list[bytes]:
    return [f"{year}\n{example(challenge)}".encode() for year, challenge in CHALLENGES.items()]


def _outputs() -> list[bytes]:
    small = {year: dataclasses.replace(challenge, recordings=2) for year, challenge in CHALLENGES.items()}
    return [f"{year}\n{valid_output(challenge)}".encode() for year, challenge in small.items()]


def _metas() -> list[bytes]:
    meta = (
        "submission:\n  label: Chang_QTI_task1b_1\n  name: n\n  abbreviation: a\n  authors:\n  - &one\n"
        "    lastname: l\n    firstname: f\n    email: a@b.org\n    corresponding: true\n    affiliation:\n"
        "      abbreviation: x\n      institute: y\n      department: null\n      location: z\n"
        "system:\n  description:\n    input_sampling_rate: 48.0kHz\n    acoustic_features: [log-mel]\n"
        "    embeddings: null\n    data_augmentation: mixup\n    machine_learning_method: CNN\n"
        "    ensemble_method_subsystem_count: null\n    decision_making: average\n    external_data_usage: null\n"
        "    complexity_management: pruning\n  complexity:\n    total_parameters: 10\n"
        "    total_parameters_non_zero: 5\n    model_size: 3.2\n  external_datasets: []\n"
        "  source_code: https://example.org\nresults:\n  development_dataset:\n    overall:\n      accuracy: 90.1\n"
        "      logloss: 0.3\n    class_wise:\n      indoor: {accuracy: 90, logloss: .2}\n"
        "      outdoor: {accuracy: 90, logloss: .2}\n      transportation: {accuracy: 90, logloss: .2}\n"
    )
    valid = [b"%d\n%s" % (year, valid_meta_bytes(challenge)) for year, challenge in CHALLENGES.items()]
    return [meta.encode(), *valid]


def _lists() -> list[bytes]:
    return [b"path,x\n2026/a.flac,1\n/mnt/b.wav,2\n", b'url;y\n"s3://b/a;b.wav";1\n\nhttps://e.org/1.mp3;\n']


def _parquet_lists() -> list[bytes]:
    names = pyarrow.array(["a.wav", "b.flac", "s3://b/c.mp3"])
    plain = pyarrow.table({"path": names, "n": [1, 2, 3]})
    coded = pyarrow.table({"url": names.dictionary_encode()})
    return [_parquet(plain), _parquet(coded, compression="zstd"), _parquet(plain, compression="none", row_group_size=2)]


def _parquet(table: pyarrow.Table, **options: object) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


SEEDS = {
    "table": _tables,
    "tau": _tau,
    "recipe": _recipes,
    "systems": _systems,
    "details": _details,
    "output": _outputs,
    "meta": _metas,
    "manifest": _lists,
    "parquet": _parquet_lists,
}
