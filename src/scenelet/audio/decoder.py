"""Decoding of compressed recordings in child processes, so that a decoder that hangs or crashes does no harm."""

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from scenelet import errors
from scenelet.audio.compressed import CompressedSound
from scenelet.audio.decoder_process import REQUEST
from scenelet.audio.pcm import Sound
from scenelet.errors import AudioError, DecoderError

START_SECONDS = 4.0
"""Processor time that a recording may take in any case. It covers a block that is decoded before it is counted."""
SILENT_SECONDS = 60.0
"""Time without an answer after which a decoder is ended whatever it does. A file system may not answer either."""


class Decoder:
    """Child processes that decode, each one recording at a time. It can be used from all threads and after a fork.

    A child is started when a recording is opened and no other child is idle. It ends with its parent.

    Args:
        start_seconds: processor time that a recording may take in any case.
        max_idle: number of children that are kept for the next recording.
    """

    def __init__(self, start_seconds: float = START_SECONDS, max_idle: int = 1) -> None:
        self.start_seconds, self.max_idle = start_seconds, max_idle
        # their methods `append`, `pop`, `add` and `discard` are safe in threads
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    @contextlib.contextmanager
    def open(self, file: BinaryIO) -> Iterator[Sound]:
        """Open a recording.

        Args:
            file: an open binary file. Its position does not matter.

        Raises:
            DecoderError: the decoder took too long or crashed; `Sound.read` raises it too.
            AudioError: the file is not a recording that can be read.
        """
        if os.name != "posix" or getattr(sys, "frozen", False) or not sys.executable:
            sound = CompressedSound(file)  # no descriptors can be sent, or no Python can be started
            yield _sound(sound.header, sound.read, sound.skip)
            return
        with _with_descriptor(file) as opened:
            child = self._take_idle() or _Child()
            self._busy.add(child)
            try:
                header, _ = child.ask(0, self.start_seconds, [opened.fileno()])
                yield _sound(header, child.read, child.skip)
            finally:
                self._busy.discard(child)
                if child.close_file() and len(self._idle) < self.max_idle:
                    self._idle.append(child)
                else:
                    child.end()

    def close(self) -> None:
        """End the children. A recording that is being decoded in another thread ends with an error."""
        for busy in list(self._busy):
            busy.process.kill()
        while child := self._take_idle():
            child.end()

    def _take_idle(self) -> "_Child | None":
        """Return an idle child, and forget those that something else has ended."""
        with contextlib.suppress(IndexError):
            while True:
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                child.end()
        return None

    def _forget(self) -> None:
        """Leave the children to the process that this one was forked from."""
        for child in self._idle:
            child.process.returncode = 0
        self._idle, self._busy = [], set()


class _Child:
    """A child process and the connection to it."""

    def __init__(self) -> None:
        self.connection, other = socket.socketpair()
        self.connection.settimeout(SILENT_SECONDS)
        self._answers = self.connection.makefile("rb")
        self._is_alive, self._limit_seconds = True, 0.0
        try:
            with other:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "scenelet.audio.decoder_process"],
                    stdin=other.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # libmpg123 prints there
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
                    start_new_session=True,  # Ctrl-C ends the parent, which then ends this one
                )
        except OSError as error:
            self._disconnect()
            raise AudioError(f"no process can be started to decode it ({error.strerror}); end others") from None

    def read(self, frames: int) -> tuple[bytearray, list[str]]:
        """Read frames of the open file as `CompressedSound.read` does."""
        answer, samples = self.ask(frames)
        self._limit_seconds = answer["limit_seconds"]
        return samples, answer["notes"]

    def skip(self, frames: int) -> bool:
        """Skip frames of the open file as `CompressedSound.skip` does."""
        return not frames or bool(self.ask(-frames)[0]["skipped"])

    def ask(
        self, frames: int, start_seconds: float = 0, descriptors: Sequence[int] = ()
    ) -> tuple[dict[str, Any], bytearray]:
        """Send a `REQUEST` and return the answer and the samples behind it."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        self._limit_seconds = start_seconds or self._limit_seconds
        self._is_alive = False
        try:
            self.connection.sendmsg([REQUEST.pack(frames, start_seconds)], rights)
            line = self._answers.readline()
            answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"size": 1}  # it died
            samples = bytearray(answer.pop("size", 0))
            if self._answers.readinto(samples) < len(samples):
                raise EOFError
        except TimeoutError:
            self.process.kill()
            took = f"decoding gave nothing for {SILENT_SECONDS:g} s"
        except (EOFError, OSError):
            status = self.process.wait()
            causes = {
                -signal.SIGPROF: f"decoding took longer than {self._limit_seconds:.1f} s of processor time",
                -signal.SIGBUS: "the file became shorter while it was read",
            }
            took = causes.get(status, f"the decoder crashed ({status})")
        else:
            self._is_alive = True
            if "error" in answer:
                raise getattr(errors, answer["error"])(answer["text"])
            return answer, samples
        raise DecoderError(f"{took}; the file is damaged, export it again")

    def close_file(self) -> bool:
        """Close the recording, and return whether the child can be used again."""
        try:
            if self._is_alive:
                self.connection.sendall(REQUEST.pack(0, 0))
        except OSError:
            self._is_alive = False
        return self._is_alive

    def end(self) -> None:
        self._disconnect()
        self.process.kill()
        self.process.wait()

    def _disconnect(self) -> None:
        self._answers.close()
        self.connection.close()


@contextlib.contextmanager
def _with_descriptor(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the file if the system has it open, otherwise a temporary copy."""
    try:
        file.fileno()
    except (OSError, AttributeError):
        on_disk = not hasattr(os, "memfd_create")
        with tempfile.TemporaryFile() if on_disk else os.fdopen(os.memfd_create("recording"), "w+b") as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            yield cast(BinaryIO, copy)
    else:
        yield file


def _sound(
    header: Mapping[str, int], read: Callable[[int], tuple[bytearray, list[str]]], skip: Callable[[int], bool]
) -> Sound:
    def read_array(frames: int) -> tuple[NDArray[np.float32], list[str]]:
        samples, notes = read(frames)
        return np.frombuffer(samples, np.float32).reshape(-1, header["channels"]), notes

    return Sound(header["sample_rate"], header["channels"], header["frames"], read_array, skip)


DECODER = Decoder(max_idle=os.cpu_count() or 1)
"""The decoder that `scenelet.audio.io` uses. It keeps a child for each thread that predicts: a start takes 50 ms."""
