"""Models of several recording devices: a folder with `general.scn` and one `DEVICE.scn` per device."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, overload

from scenelet.audio.io import AudioSource
from scenelet.errors import AudioError, ModelFileError, UsageError
from scenelet.inference.classifier import Classifier, OnError, check_on_error, load
from scenelet.inference.prediction import Prediction, raise_at_end, return_error
from scenelet.inference.runtimes import RuntimeName
from scenelet.model.device_files import GENERAL, UNKNOWN, device_files, is_device_folder
from scenelet.model.file import read_model
from scenelet.model.scene_model import SceneModel
from scenelet.utils.console import print_message
from scenelet.utils.parallel import cpu_count, map_threads


class DeviceModels:
    """Models of a folder, chosen by the recording device.

    `general.scn` answers for every device that has no file of its own, and if the device is not known. All files are
    read at once, so that a damaged one is found at once. A classifier is made when its device first occurs.

    Args:
        folder: the folder, as `scenelet compress RUNS --out FOLDER` writes it.
        threads, runtime, callers: as `Classifier`.

    Raises:
        ModelFileError: there is no `general.scn`, a file is damaged or its name is no device's, or the files have
            other labels or another order of these.
        UsageError: as `Classifier`.

    >>> import shutil, tempfile
    >>> from scenelet.model.pretrained import built_in, example
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("general", "s1"):
    ...         path = shutil.copy(built_in("esc10"), f"{folder}/{name}.scn")
    ...     models = DeviceModels(folder)
    >>> models.devices, models.path_for("s9").name
    (('s1',), 'general.scn')
    >>> [found.label for found in models.predict_many([example("esc10")], ["s1"])]
    ['dog']
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        threads: int | None = None,
        runtime: RuntimeName = "onnxruntime",
        callers: int = 1,
    ) -> None:
        self.folder = Path(folder)
        self._files = device_files(self.folder)
        self._models: dict[str, SceneModel] = {name: read_model(path) for name, path in self._files.items()}
        self._arguments = threads, runtime, callers
        self._classifiers: dict[str, Classifier] = {}
        for name, model in self._models.items():
            if model.labels != self.labels:
                raise ModelFileError(
                    f"{self._files[name]}: its labels are not those of {self._files[GENERAL]}, in the same order;"
                    " give models of the same classes"
                )

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes in the order of every probability vector."""
        return self._models[GENERAL].labels

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices that have a model of their own, sorted."""
        return tuple(name for name in self._files if name != GENERAL)

    def name_for(self, device: str | None) -> str:
        """Return the name of the model that answers for a device: the device, or "general"."""
        return device if device in self._files and device is not None else GENERAL

    def path_for(self, device: str | None) -> Path:
        """Return the file of the model that answers for a device."""
        return self._files[self.name_for(device)]

    def for_device(self, device: str | None) -> Classifier:
        """Return the classifier of a device: the general one for None, "unknown", and a device without a file."""
        name = self.name_for(device)
        if name not in self._classifiers:
            threads, runtime, callers = self._arguments
            self._classifiers[name] = Classifier(self._models[name], threads, runtime, callers)
        return self._classifiers[name]

    @overload
    def predict_many(
        self, recordings: Iterable[AudioSource], devices: Sequence[str | None], errors: Literal["raise"] = "raise"
    ) -> Iterator[Prediction]: ...

    @overload
    def predict_many(
        self, recordings: Iterable[AudioSource], devices: Sequence[str | None], errors: Literal["return"]
    ) -> Iterator[Prediction | AudioError]: ...

    def predict_many(
        self, recordings: Iterable[AudioSource], devices: Sequence[str | None], errors: OnError = "raise"
    ) -> Iterator[Prediction] | Iterator[Prediction | AudioError]:
        """Classify recordings in parallel, each with the model of its device, and yield the predictions in order.

        Args:
            recordings: as `Classifier.predict_many`.
            devices: the device of each recording; None if it is not known.
            errors: as `Classifier.predict_many`.

        Raises:
            AudioError: as `Classifier.predict_many`.
            UsageError: `errors` is neither, or there is not one device per recording.
        """
        check_on_error(errors)
        if isinstance(devices, str):
            raise UsageError(f"devices is {devices!r}; give a list with the device of each recording")
        results = self._predict_each(recordings, devices)
        return results if errors == "return" else raise_at_end(results)

    def _predict_each(
        self, recordings: Iterable[AudioSource], devices: Sequence[str | None]
    ) -> Iterator[Prediction | AudioError]:
        def pairs() -> Iterator[tuple[AudioSource, Classifier]]:
            count = 0
            for count, recording in enumerate(recordings, 1):
                if count <= len(devices):
                    yield recording, self.for_device(devices[count - 1])
            if count != len(devices):
                raise UsageError(f"{len(devices)} devices for {count} recordings; give one for each")

        def predict(pair: tuple[AudioSource, Classifier]) -> Prediction | AudioError:
            recording, classifier = pair
            return return_error(classifier.predict if threads == 1 else classifier.predict_in_one_thread)(recording)

        threads = 1 if self._arguments[2] > 1 else self._arguments[0] or cpu_count()
        yield from map(predict, pairs()) if threads == 1 else map_threads(predict, pairs(), threads)


def load_for_device(
    model: str | os.PathLike[str], device: str | None = None, runtime: RuntimeName = "onnxruntime"
) -> Classifier:
    """Load a model file, or the model of a device from a folder of models.

    Args:
        model: as `scenelet.load`, or a folder as `DeviceModels`.
        device: the recording device; None: it is not known.
        runtime: as `Classifier`.

    Raises:
        ModelFileError: as `scenelet.load` and `DeviceModels`.
        UsageError: a device is given for a single model file.

    >>> load_for_device("esc10").labels[0]
    'chainsaw'
    """
    if is_device_folder(model):
        models = DeviceModels(model, runtime=runtime)
        if device not in (None, GENERAL, UNKNOWN, *models.devices):
            print_message(f"{model}: holds no model of device {device}, so the general one answers")
        return models.for_device(device)
    if device is not None:
        raise UsageError(
            f"--device {device}: {model} is not a folder of models for devices; leave it out, or give a folder with"
            f" {GENERAL}.scn"
        )
    return load(model, runtime=runtime)
