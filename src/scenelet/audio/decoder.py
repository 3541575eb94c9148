"""Decoding of compressed recordings in child processes, so that a decoder that hangs or crashes does no harm."""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.audio.decoder_process import Piece, SoundReader, error_reason, reader_at, receive_message, send_message
from scenelet.errors import AudioError, DecoderError

START_SECONDS = 4.0
"""Processor time that a recording may take in any case. It covers a block that is decoded before it is counted."""
SECONDS_PER_SECOND = 0.1
"""Further processor time for each second of sound. The slowest codec, Opus, takes 0.005 on an ordinary machine."""
SILENT_SECONDS = 60.0
"""Time without an answer after which a decoder is ended whatever it does. A file system may not answer either."""


class DecoderRefusedError(Exception):
    """The decoder cannot read a recording. The text is its reason."""


class DecodedFile:
    """Recording that is being decoded.

    Attributes:
        sample_rate: Hz.
        channels: number of channels.
        frames: number of frames as the decoder states it.
        format, subtype: libsndfile's names of the format.
    """

    def __init__(self, header: dict[str, Any], read: Callable[[int], tuple[bytearray, str]]) -> None:
        self.sample_rate: int = header["sample_rate"]
        self.channels: int = header["channels"]
        self.frames: int = header["frames"]
        self.format: str = header["format"]
        self.subtype: str = header["subtype"]
        self._read = read

    def read(self, frames: int) -> tuple[NDArray[np.float32], str]:
        """Read up to `frames` frames: return them (frames, channels), and the decoder's complaint or an empty text."""
        decoded, fault = self._read(frames)
        return np.frombuffer(decoded, np.float32).reshape(-1, self.channels), fault


class Decoder:
    """Child processes that decode, each one recording at a time. It can be used from all threads and after a fork.

    A child is started when a recording is opened and no other child is idle. It ends with its parent.

    Args:
        start_seconds: processor time that a recording may take in any case.
        seconds_per_second: further processor time for each second of sound.
        max_idle: number of children that are kept for the next recording.
    """

    def __init__(
        self,
        start_seconds: float = START_SECONDS,
        seconds_per_second: float = SECONDS_PER_SECOND,
        max_idle: int = 1,
    ) -> None:
        self.start_seconds, self.seconds_per_second, self.max_idle = start_seconds, seconds_per_second, max_idle
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._lock = threading.Lock()
        _decoders.add(self)

    @contextlib.contextmanager
    def open(self, file: BinaryIO, pieces: Sequence[Piece], name: str) -> Iterator[DecodedFile]:
        """Open a recording.

        Args:
            file: an open binary file. Its position does not matter.
            pieces: what the decoder sees of it.
            name: what errors call it.

        Raises:
            DecoderRefusedError: the decoder does not know the format, or its header is damaged.
            DecoderError: the decoder took too long or crashed; `DecodedFile.read` raises it too.
        """
        if os.name != "posix" or getattr(sys, "frozen", False) or not sys.executable:
            yield _open_here(file, pieces)  # no descriptors can be sent, or no Python can be started
            return
        with _with_descriptor(file) as opened:
            child = self._take_idle() or _Child(name)
            self._busy.add(child)
            try:
                yield child.open_file(self, opened, pieces, name)
            finally:
                self._busy.discard(child)
                child.close_file()
                with self._lock:
                    keep = child.is_alive and len(self._idle) < self.max_idle
                    if keep:
                        self._idle.append(child)
                if not keep:
                    child.end()

    def close(self) -> None:
        """End the children. A recording that is being decoded in another thread ends with an error."""
        for busy in list(self._busy):
            busy.process.kill()
        while child := self._take_idle():
            child.end()

    def _take_idle(self) -> "_Child | None":
        """Return an idle child, and forget those that something else has ended."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                child.end()
        return None

    def _forget(self) -> None:
        """Leave the children to the process that this one was forked from."""
        self._lock = threading.Lock()
        for child in self._idle:
            child.process.returncode = 0
        self._idle, self._busy = [], set()


class _Child:
    """A child process and the connection to it."""

    def __init__(self, name: str) -> None:
        self.connection, other = socket.socketpair()
        self.connection.settimeout(SILENT_SECONDS)
        self.is_alive, self._has_file = True, False
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
            self.connection.close()
            raise AudioError(f"{name}: no process can be started to decode it ({error.strerror}); end others") from None

    def open_file(self, limits: Decoder, file: BinaryIO, pieces: Sequence[Piece], name: str) -> DecodedFile:
        limit, rate = limits.start_seconds, limits.seconds_per_second
        request = {
            "start_seconds": limit,
            "seconds_per_second": rate,
            "pieces": [piece.hex() if isinstance(piece, bytes) else piece for piece in pieces],
        }
        with self._errors_named(name, limit):
            socket.send_fds(self.connection, [b"\0"], [file.fileno()])
            send_message(self.connection, request)
            header, _ = receive_message(self.connection)
        if "fault" in header:
            raise DecoderRefusedError(header["fault"])
        self._has_file = True

        def read(frames: int) -> tuple[bytearray, str]:
            nonlocal limit
            limit += rate * frames / max(1, header["sample_rate"])
            with self._errors_named(name, limit):
                send_message(self.connection, {"frames": frames})
                answer, decoded = receive_message(self.connection)
            return decoded, answer["fault"]

        return DecodedFile(header, read)

    def close_file(self) -> None:
        if self._has_file and self.is_alive:
            try:
                send_message(self.connection, {"frames": 0})
            except OSError:
                self.is_alive = False
        self._has_file = False

    @contextlib.contextmanager
    def _errors_named(self, name: str, limit_seconds: float) -> Iterator[None]:
        """Turn a dead or silent child into a DecoderError."""
        try:
            self.is_alive = False
            yield
            self.is_alive = True
            return
        except TimeoutError:
            self.process.kill()
            took = f"decoding gave nothing for {SILENT_SECONDS:g} s"
        except (EOFError, OSError):
            status = self.process.wait()
            if status == -getattr(signal, "SIGPROF", 0):
                took = f"decoding took longer than {limit_seconds:.1f} s of processor time"
            else:
                took = f"the decoder crashed ({status})"
        raise DecoderError(f"{name}: {took}; the file is damaged, export it again")

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()


def _open_here(file: BinaryIO, pieces: Sequence[Piece]) -> DecodedFile:
    """Open a recording in this process."""
    try:
        reader = SoundReader(reader_at(file), pieces)
    except soundfile.LibsndfileError as error:
        raise DecoderRefusedError(error_reason(error)) from None
    return DecodedFile(reader.header, reader.read)


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


def _forget_all() -> None:
    for decoder in _decoders:
        decoder._forget()


_decoders: "weakref.WeakSet[Decoder]" = weakref.WeakSet()
DECODER = Decoder()
"""The decoder that `scenelet.audio.io` uses."""
atexit.register(DECODER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
