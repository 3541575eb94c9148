"""Standardization by recording device: the mel bands of each device get the mean and deviation of all devices.

A network standardizes its input by one mean and standard deviation per band. So the log-mel x of a clip of device d
becomes (x - mean_d) std / std_d + mean, in which mean and std are those of all devices. The network then computes
(x - mean_d) / std_d. A microphone's frequency response adds a constant number of decibels to each band, which this
removes exactly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scenelet.config.run_folder import BandStatistics, DeviceStatistics
from scenelet.data.band_maps import BandMaps
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.feature_cache import ClipFeatures, band_statistics
from scenelet.errors import DataError
from scenelet.model.device_files import check_devices
from scenelet.utils.console import print_message
from scenelet.utils.text import first_few


@dataclass(frozen=True)
class BandMap:
    """Affine map x * scale + shift of each mel band; both are (n_mels,) float32."""

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]


def missing_labels(train: Iterable[Clip], labels: Iterable[str]) -> dict[str, list[str]]:
    """Return the labels of which each recording device has no training clip, by device, both sorted.

    >>> from pathlib import Path
    >>> clips = [Clip(Path(name), name, name[0], name, device=name[1:]) for name in ("xa", "ya", "xs1")]
    >>> missing_labels(clips, ["x", "y"])
    {'a': [], 's1': ['y']}
    """
    found: dict[str, set[str]] = {}
    for clip in train:
        if clip.device is not None:
            found.setdefault(clip.device, set()).add(clip.label)
    wanted = set(labels)
    return {device: sorted(wanted - found[device]) for device in sorted(found)}


def check_standardized_devices(train: Iterable[Clip], table: ClipTable) -> None:
    """Check that each device that gets statistics of its own can have a model file of its own.

    Args:
        train: the training clips.
        table: the table that they are from.

    Raises:
        DataError: as `scenelet.model.device_files.check_devices`.
    """
    train = list(train)
    missing = missing_labels(train, {clip.label for clip in train} - {table.background})
    check_devices((device for device, labels in missing.items() if not labels), str(table.path or table.root))


def device_statistics(features: ClipFeatures, clips: Sequence[Clip], background: str | None) -> DeviceStatistics:
    """Return the statistics of all training clips, and of those of each device, and print which devices have none.

    A device needs a training clip of each class. Otherwise its statistics would tell its classes from the others.

    Args:
        features: features of the training clips.
        clips: the clips, in the same order.
        background: the class that means none of the others, which does not count.

    Raises:
        DataError: no device has a training clip of each class.
    """
    own = np.array([clip.label != background for clip in clips])
    devices = np.array([clip.device for clip in clips], object)
    missing = missing_labels(clips, {clip.label for clip in clips} - {background})
    if not (complete := [device for device, labels in missing.items() if not labels]):
        raise DataError(
            "data.standardize is 'device', and no recording device has training clips of each class; add a column"
            " device to the table, or leave the setting out"
        )
    for device, labels in missing.items():
        if labels:
            print_message(
                f"device {device}: standardized by the clips of all devices, since it has no training clip of"
                f" {first_few(labels)}"
            )
    rows = {device: np.flatnonzero(own & (devices == device)) for device in complete}
    found = {device: _statistics(features.select(own_rows)) for device, own_rows in rows.items()}
    return DeviceStatistics(all=_statistics(features.select(np.flatnonzero(own))), devices=found)


def band_maps(statistics: DeviceStatistics) -> dict[str, BandMap]:
    """Return the map of each device.

    >>> one = BandStatistics(mean=(-40.0,), std=(4.0,))
    >>> band_maps(DeviceStatistics(all=BandStatistics(mean=(-30.0,), std=(8.0,)), devices={"a": one}))
    {'a': BandMap(scale=array([2.], dtype=float32), shift=array([50.], dtype=float32))}
    """
    mean, std = np.array(statistics.all.mean), np.array(statistics.all.std)
    maps = {}
    for device, own in statistics.devices.items():
        scale = std / np.array(own.std)
        shift = mean - np.array(own.mean) * scale
        maps[device] = BandMap(scale.astype(np.float32), shift.astype(np.float32))
    return maps


def standardize_devices(features: ClipFeatures, clips: Sequence[Clip], statistics: DeviceStatistics) -> ClipFeatures:
    """Return features that are mapped by the device of each clip when they are loaded.

    Clips of other devices than those of `statistics` stay as they are.
    """
    maps = band_maps(statistics)
    ones = np.ones(len(statistics.all.mean), np.float32)
    scale = np.stack([ones, *(each.scale for each in maps.values())])
    shift = np.stack([0 * ones, *(each.shift for each in maps.values())])
    numbers = {device: number for number, device in enumerate(maps, 1)}
    of_row = np.zeros(len(features.values), np.int32)
    for clip, first, count in zip(clips, features.first, features.count, strict=True):
        of_row[first : first + count] = 0 if clip.device is None else numbers.get(clip.device, 0)
    return replace(features, maps=BandMaps(of_row, scale, shift))


def _statistics(features: ClipFeatures) -> BandStatistics:
    mean, std = band_statistics(features)
    return BandStatistics(mean=tuple(mean.tolist()), std=tuple(std.tolist()))
