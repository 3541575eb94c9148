"""Train a network on labelled recordings, into a run folder."""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from scenelet.config import RunConfig, TrainerConfig, setting_keys
from scenelet.config.run_folder import RESUME_MEND, is_begun, require_new
from scenelet.data.load import load_table
from scenelet.errors import ModelFileError, RunError, UsageError
from scenelet.model import file as modelfile
from scenelet.nn import model_settings
from scenelet.nn.convert import pack
from scenelet.training import run_record as runs
from scenelet.training.augment import build_moves
from scenelet.training.batches import EpochBatches
from scenelet.training.data_warnings import warn_of_data
from scenelet.training.dataset import Sides, load_sides, measure
from scenelet.training.distributed import require_devices
from scenelet.training.loop import has_checkpoint, train
from scenelet.training.losses import build_loss
from scenelet.training.mixing import UNMIXED, build_mixer
from scenelet.training.module import SceneModule
from scenelet.training.preflight import require_shares
from scenelet.training.ranks import ALONE, Place, find_place
from scenelet.training.teacher import Teacher, find_teacher
from scenelet.training.time_estimate import say_estimate
from scenelet.training.width_search import DEPTHS, Limits, fit_network
from scenelet.utils.console import quiet, say, working
from scenelet.utils.files import alone
from scenelet.utils.text import counted


def fit(
    data: Path,
    out: Path,
    config: RunConfig | None,
    *,
    recipe: str = "",
    audio_dir: Path | None = None,
    three_classes: bool = False,
    resume: bool = False,
    teacher: Path | None = None,
    limits: Limits | None = None,
    cache_dir: Path | None = None,
    description: str = "Training",
    talk: bool = True,
    trainer: TrainerConfig | None = None,
) -> dict[str, Any]:
    """Train on `data` into the run folder `out`; returns what `metrics.json` holds.

    On several devices each has a process that comes here; the first talks, writes and returns so, the others return {}
    when training is done. See docs/devices.md.

    Args:
        data: a TAU root, a class-per-folder tree, or a CSV/TSV.
        out: the run folder; must be new unless `resume`, or hold nothing but the CSV `data`.
        config: the settings; None only with `resume`, which then takes the run's own. A resumed run must have the
            same, but for `trainer`.
        recipe: what the settings are called, for the record.
        audio_dir: where a CSV's files lie, when not beside it.
        three_classes: map the ten TAU scenes to indoor, outdoor, transportation.
        resume: go on from the run's last finished epoch; the end is the same as undisturbed.
        teacher: a finished run folder, whose network gives `config.distil` of each label; None: the labels alone, or
            with `resume` the teacher that the run has.
        limits: on what the network costs; its width and depth are found, see `scenelet.training.width_search`. They
            become settings of the run.
        cache_dir: of the feature cache; None: `scenelet.utils.files.cache_folder()`.
        description: shown beside the progress bar.
        talk: say what was recognised and how the epochs go; the bar shows in any case.
        trainer: where `config` is None, on what to go on: those of its settings that were set replace the run's.

    Raises:
        SceneletError: data, settings or run folder cannot be used.
        SystemExit: in a process that follows another one, when training failed.
    """
    devices = _devices(out, config, trainer)
    place = find_place(devices.devices, devices.num_nodes)
    require_devices(devices)
    talk = talk and not place.follows
    with contextlib.ExitStack() as until_the_end:
        until_the_end.enter_context(quiet(place.follows))
        if limits is not None and limits != Limits() and config is None:
            raise UsageError("--macs and --bytes choose the network of a new run; leave them out to resume one")
        if config is not None and limits is not None and limits != Limits():
            config = _within(config, limits, load_table(data, audio_dir, three_classes).labels, talk)
        given, config = config, _settings(data, out, config, resume, place)
        config = config.model_copy(update={"trainer": devices})
        require_shares(config)
        if talk and resume and not is_begun(out):
            say(f"{out}: holds no run yet, so one is begun")
        source = runs.DataRecord(
            path=str(data.resolve()),
            audio_dir=None if audio_dir is None else str(audio_dir.resolve()),
            three_classes=three_classes,
        )
        sides = load_sides(source, config, cache_dir, talk)
        mean, deviation = sides.band_statistics()
        network = runs.build_network(config, len(sides.labels), torch.from_numpy(mean), torch.from_numpy(deviation))
        # what a model file cannot hold is better known before training than after
        try:
            modelfile.check(pack(network, sides.labels, config.features, config.window))
        except ModelFileError as error:
            raise UsageError(
                f"what these settings describe fits no model file: {error}; change network, features or window"
            ) from None
        taught = find_teacher(out, teacher, config, sides) if teacher is not None or resume else None
        if len(sides.train) < devices.world_size:
            raise UsageError(
                f"{data}: {len(sides.train)} clips to train on are fewer than the {devices.world_size} devices; lower"
                " trainer.devices or trainer.num_nodes"
            )
        if not place.follows:
            busy = f"{out}: another training is at work there; wait for its end, or choose another --out"
            until_the_end.enter_context(alone(out / ".lock", busy))
            _settings(data, out, given, resume, place)  # since then another training may have begun there, and ended
            _begin(out, config, recipe, sides, taught)
            if talk:
                warn_of_data(out, source, sides.split, config.window.seconds, cache_dir)
        loss = build_loss(config.loss, sides.train.class_counts())
        module = SceneModule(
            network,
            loss,
            config.schedule,
            epoch_batches(sides, config, place=place),
            sides.validation,
            teacher=None if taught is None else (taught.network, config.distil),
            place=place,
            joint_norms=devices.norms == "synchronised",
        )
        parameters = sum(p.numel() for p in network.parameters())
        if talk:
            epochs = f"{counted(config.schedule.epochs, 'epoch')} of {len(sides.train):,} clips"
            by = "" if taught is None else f", taught by {taught.record['run']}"
            on = "" if place.alone else f", on {place.world_size} devices"
            say(f"{config.network.name}: {parameters:,} parameters, {epochs}{by}{on}")
            if place.alone and not (resume and has_checkpoint(out)):
                say_estimate(module, config)
        train(module, config.precision, out, resume, config.select == "validation", description, talk, devices)
        if place.follows:
            return {}
        minutes = sum(row["seconds"] for row in module.history) / 60

        with working("Measuring"):
            metrics: dict[str, Any] = {side: measure(network, clips, sides.labels) for side, clips in sides.held_out()}
        metrics |= {"minutes": minutes, "made": sides.source.made, "history": module.history}
        runs.save_weights(out, network)
        runs.plot_curves(out, module.history)
        runs.write_metrics(out, metrics)
        return metrics


def _within(config: RunConfig, limits: Limits, labels: tuple[str, ...], talk: bool) -> RunConfig:
    """The settings with a network that is within the limits."""
    with working("Finding width and depth"):
        config, costs = fit_network(config, labels, limits)
    if talk:
        chosen = {"width": config.network.width} | {
            name: getattr(config.network, name) for name in DEPTHS if name in model_settings(config.network.name)
        }
        found = ", ".join(f"{name} {value}" for name, value in chosen.items())
        size = f"{costs.macs_per_second:,} multiply-accumulates a second"
        say(f"found: {found}; {size}, {costs.parameter_bytes:,} bytes of parameters")
    return config


def epoch_batches(
    sides: Sides, config: RunConfig, first_epoch: int = 0, place: Place = ALONE
) -> Callable[[int], EpochBatches]:
    """Epoch -> its batches, the first `mixing.until` of the schedule's epochs mixed.

    `first_epoch` is added to an epoch, so that fine-tuning goes on where training ended: it draws anew, and is
    mixed only where training was to its end. `place` is whose shares of the batches they are.
    """
    moves, mixer = build_moves(config.mixing), build_mixer(config.mixing)
    whole = config.mixing.until == 1
    mixed_epochs = round(config.mixing.until * config.schedule.epochs)

    def batches(epoch: int) -> EpochBatches:
        own = mixer if whole or first_epoch + epoch < mixed_epochs else UNMIXED
        return EpochBatches(
            sides.train, config.schedule.batch_size, moves, own, config.seed, first_epoch + epoch, place
        )

    return batches


def _devices(out: Path, config: RunConfig | None, changes: TrainerConfig | None) -> TrainerConfig:
    """What to train on: what the settings say, or the run's own settings with changes on top."""
    if config is not None:
        return config.trainer
    own = runs.read_record(out).config.trainer if is_begun(out) else TrainerConfig()
    return own if changes is None else own.model_copy(update=changes.model_dump(exclude_unset=True))


def _settings(data: Path, out: Path, config: RunConfig | None, resume: bool, place: Place) -> RunConfig:
    """The settings to train with; refuses to write over a run, or to resume one with other settings."""
    if resume and is_begun(out):
        stored = runs.read_record(out).config
        if config is not None and config.model_copy(update={"trainer": stored.trainer}) != stored:
            keys = (key for key in setting_keys() if not key.startswith("trainer."))
            first = next(key for key in keys if _value(config, key) != _value(stored, key))
            values = f"{first} was {_value(stored, first)!r} and is now {_value(config, first)!r}"
            raise RunError(
                f"{out}: was begun with other settings ({values}); resume it with the same ones, or with none"
            )
        return stored
    if config is None:
        raise RunError(f"{out}: holds no run to resume; start it without --resume")
    if not place.follows:
        require_new(out, "choose another --out" if resume else RESUME_MEND, beside=data)
    return config


def _value(config: RunConfig, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), config)


def _begin(out: Path, config: RunConfig, recipe: str, sides: Sides, taught: Teacher | None) -> None:
    """Write the run's record, or check that a resumed run still sees the same clips."""
    record = runs.RunRecord(
        config=config,
        recipe=recipe,
        data=sides.source,
        labels=sides.labels,
        train_counts=tuple(sides.train.class_counts()),
        versions=runs.versions(),
        teacher=None if taught is None else taught.record,
    )
    if not (out / runs.RECORD).exists():
        runs.write_record(out, record, sides.split)
        return
    runs.require_same_split(out, sides.split, sides.source.path)
