"""Source of a run: the model file or run whose weights it starts from. Nothing here needs PyTorch."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scenelet.config import FeatureConfig, NetworkConfig, RunConfig, WindowConfig, build_config
from scenelet.config.run_folder import SPLIT, WEIGHTS, SourceRecord, is_begun, read_record
from scenelet.data.clips import Clip
from scenelet.data.splits import split_csv_hash
from scenelet.errors import ModelFileError, RunError, UsageError
from scenelet.model.file import decode_model, read_bytes
from scenelet.model.pretrained import built_in, model_path
from scenelet.model.scene_model import SceneModel

NO_SOURCE = "none"
"""Value of `--from` that starts from random weights."""
FEW_CLIPS = 20
"""Training clips of the rarest class below which `train` starts from `DEFAULT_SOURCE`."""
DEFAULT_SOURCE = "esc10"
"""Built-in model that `train` starts from if a class has fewer than `FEW_CLIPS` training clips and `--from` is not
given. `benchmarks/quality/few_recordings.py` compares it with random weights and with a frozen network."""
SECTIONS = ("features", "window", "network")
"""Sections of settings that come from the source."""

OTHER_SECTIONS = ("data", "split", "transfer", "prune", "trainer", "seed")
"""Sections that a user can change without a choice between the source and random weights."""


@dataclass(frozen=True)
class Source:
    """Trained weights, and the settings that they need.

    Attributes:
        record: what the run's record stores.
        features, window, network: the settings of the source.
        data: description of its training data.
        split_hash: hash of the clips of its subsets.
        model: content of the model file; None if the source is a run folder.
    """

    record: SourceRecord
    features: FeatureConfig
    window: WindowConfig
    network: NetworkConfig
    data: str
    split_hash: str
    model: SceneModel | None

    def apply(self, config: RunConfig) -> RunConfig:
        """Return the settings of a run with those of the source in place of its own.

        Raises:
            UsageError: other settings contradict those of the source.
        """
        own = {section: getattr(self, section).model_dump() for section in SECTIONS}
        return build_config(config.model_dump() | own, f"--from {self.record.name}")

    def check_changes(self, config: RunConfig, changed: Iterable[str]) -> None:
        """Check that the settings that the user changed, by their dotted keys, do not contradict the source.

        Raises:
            UsageError: a setting has another value than in the source.
        """
        for key in changed:
            section, _, name = key.partition(".")
            if section not in SECTIONS:
                continue
            value, own = (getattr(getattr(settings, section), name) for settings in (config, self))
            if value != own:
                raise UsageError(
                    f"--set {key}: {value} contradicts --from {self.record.name}, whose weights need {own}; leave out"
                    " one of the two"
                )


def read_source(source: str | os.PathLike[str]) -> Source:
    """Read the settings of a source, and the weights of a model file.

    Args:
        source: a run folder, the path of a `.scn` file, or the name of a built-in model.

    Raises:
        ModelFileError: the file is missing, damaged or not a model, or does not name its network.
        RunError: the run is not finished or damaged.

    >>> source = read_source("esc10")
    >>> source.network.name, source.features.n_mels, source.record.labels[:2]
    ('bc_resnet', 64, ('chainsaw', 'clock_tick'))
    """
    if is_begun(Path(source)):
        return _read_run(Path(source))
    path = model_path(source)
    data = read_bytes(path)
    model = decode_model(data, str(path))
    record = SourceRecord(
        path=os.fspath(source) if path == built_in(os.fspath(source)) else str(path.resolve()),
        sha256=hashlib.sha256(data).hexdigest(),
        labels=model.labels,
        licenses=tuple(model.licenses),
    )
    network, data_name, split = (model.provenance.get(name) for name in ("network", "data", "split_hash"))
    return Source(
        record, model.features, model.window, _network(path, network, model), str(data_name), str(split), model
    )


def default_source(train: Sequence[Clip], background: str | None, changed: Iterable[str]) -> str | None:
    """Return the source of a run for which the user names none.

    It is `DEFAULT_SOURCE` if a class has fewer than `FEW_CLIPS` clips and the user changed nothing about the training.

    Args:
        train: the training clips.
        background: the class that means none of the others, which does not count.
        changed: dotted keys of the settings that the user changed.
    """
    if any(key.partition(".")[0] not in OTHER_SECTIONS for key in changed):
        return None
    counts = Counter(clip.label for clip in train if clip.label != background)
    return DEFAULT_SOURCE if min(counts.values()) < FEW_CLIPS else None


def _read_run(run: Path) -> Source:
    record = read_record(run)
    for name in (WEIGHTS, SPLIT):
        if not (run / name).is_file():
            raise RunError(f"{run}: no finished run (no {name}); resume it with `scenelet train ... --resume`")
    licenses = [record.data.license, *(record.source.licenses if record.source else ())]
    source = SourceRecord(
        path=str(run.resolve()),
        sha256=hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest(),
        labels=record.labels,
        licenses=tuple(dict.fromkeys(filter(None, licenses))),
    )
    config, split = record.config, split_csv_hash((run / SPLIT).read_bytes())
    return Source(source, config.features, config.window, config.network, record.data.description, split, None)


def _network(path: Path, settings: Any, model: SceneModel) -> NetworkConfig:
    """Return the settings of a model's network, with as many members as the file holds."""
    try:
        network = NetworkConfig.model_validate(settings)
    except ValidationError:
        raise ModelFileError(
            f"{path}: does not name its network, so training cannot start from it; give a file that"
            " `scenelet compress` wrote"
        ) from None
    # from an untrusted file, so it must not be much larger than the arrays
    if network.width > 2 * max(map(max, model.array_shapes.values())) or network.repeats > len(model.nodes):
        raise ModelFileError(f"{path}: its layers are not those of the network that it names; give another source")
    return network.model_copy(update={"members": model.members})
