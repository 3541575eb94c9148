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
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.audio.decoder_process import Piece, SoundReader, error_reason, receive_message, send_message
from scenelet.errors import AudioError

START_SECONDS = 4.0
"""Processor time that a recording may take in any case. It covers a block that is decoded before it is counted."""
SECONDS_PER_SECOND = 0.1
"""Further processor time for each second of sound. The slowest codec, Opus, takes 0.005 on an ordinary machine."""
SILENT_SECONDS = 60.0
"""Time without an answer after which a decoder is ended whatever it does. A file system may not answer either."""


class DecodedFile:
    """Recording that is being decoded.

    Attributes:
        sample_rate: Hz.
        channels: number of channels.
        frames: number of frames as the decoder states it.
        format, subtype: libsndfile's names of the format.
    """

    def __init__(self, header: dict[str, Any]) -> None:
        self.sample_rate: int = header["sample_rate"]
        self.channels: int = header["channels"]
        self.frames: int = header["frames"]
        self.format: str = header["format"]
        self.subtype: str = header["subtype"]

    def read(self, frames: int) -> tuple[NDArray[np.float32], str]:
        """Read up to `frames` frames: return them (frames, channels), and the decoder's complaint or an empty text."""
        decoded, fault = self._read(frames)
        return np.frombuffer(decoded, np.float32).reshape(-1, self.channels), fault

    def _read(self, frames: int) -> tuple[bytearray, str]:
        raise NotImplementedError


class _LocalFile(DecodedFile):
    def __init__(self, file: BinaryIO, pieces: Sequence[Piece], name: str) -> None:
        try:
            self._reader = SoundReader(file.fileno(), pieces)
        except soundfile.LibsndfileError as error:
            raise DecoderRefusedError(error_reason(error)) from None
        super().__init__(self._reader.header)

    def _read(self, frames: int) -> tuple[bytearray, str]:
        return self._reader.read(frames)


class DecoderRefusedError(Exception):
    """The decoder cannot read a recording. The text is its reason."""


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
            AudioError: the decoder took too long or crashed; `DecodedFile.read` raises it too.
        """
        with _descriptor_of(file) as opened:
            if os.name != "posix" or getattr(sys, "frozen", False) or not sys.executable:
                yield _LocalFile(opened, pieces, name)  # no descriptors can be sent, or no Python can be started
                return
            with self._lock:
                child = self._idle.pop() if self._idle else None
            child = child or _Child(name)
            self._busy.add(child)
            try:
                yield child.open_file(self, opened, pieces, name)
                child.finish_file()
            finally:
                self._busy.discard(child)
                with self._lock:
                    keep = child.is_ready and len(self._idle) < self.max_idle
                    if keep:
                        self._idle.append(child)
                if not keep:
                    child.end()

    def close(self) -> None:
        """End the children. A recording that is being decoded in another thread ends with an error."""
        with self._lock:
            children, self._idle = self._idle, []
        for child in list(self._busy):
            child.process.kill()
        for child in children:
            child.end()

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
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
        self.is_ready = True
        try:
            with other:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "scenelet.audio.decoder_process"],
                    stdin=other.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # libmpg123 prints there
                    env=environment,
                    start_new_session=True,  # Ctrl-C ends the parent, which then ends this one
                )
        except OSError as error:
            self.connection.close()
            raise AudioError(f"{name}: no process can be started to decode it ({error.strerror}); end others") from None

    def open_file(self, limits: Decoder, file: BinaryIO, pieces: Sequence[Piece], name: str) -> DecodedFile:
        self.is_ready = False
        texts = [piece for piece in pieces if isinstance(piece, bytes)]
        request = {
            "start_seconds": limits.start_seconds,
            "seconds_per_second": limits.seconds_per_second,
            "pieces": [len(piece) if isinstance(piece, bytes) else piece for piece in pieces],
        }
        with self.explained(name, limits.start_seconds):
            socket.send_fds(self.connection, [b"\0"], [file.fileno()])
            send_message(self.connection, request, b"".join(texts))
            header, _ = receive_message(self.connection)
        if "fault" in header:
            self.is_ready = True
            raise DecoderRefusedError(header["fault"])
        return _RemoteFile(self, header, limits, name)

    def finish_file(self) -> None:
        with contextlib.suppress(OSError):
            send_message(self.connection, {"frames": 0})
            self.is_ready = True

    @contextlib.contextmanager
    def explained(self, name: str, limit_seconds: float) -> Iterator[None]:
        """Turn a dead or silent child into an AudioError."""
        try:
            yield
        except TimeoutError:
            self.process.kill()
            took = f"decoding gave nothing for {SILENT_SECONDS:g} s"
        except (EOFError, OSError):
            status = self.process.wait()
            if status == -getattr(signal, "SIGPROF", 0):
                took = f"decoding took longer than {limit_seconds:.1f} s of processor time"
            else:
                took = f"the decoder crashed ({status})"
        else:
            return
        raise AudioError(f"{name}: {took}; the file is damaged, export it again")

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()


class _RemoteFile(DecodedFile):
    def __init__(self, child: _Child, header: dict[str, Any], limits: Decoder, name: str) -> None:
        super().__init__(header)
        self._child, self._limits, self._name = child, limits, name
        self._asked = 0

    def _read(self, frames: int) -> tuple[bytearray, str]:
        self._asked += frames
        seconds = self._asked / max(1, self.sample_rate)
        limit = self._limits.start_seconds + self._limits.seconds_per_second * seconds
        with self._child.explained(self._name, limit):
            send_message(self._child.connection, {"frames": frames})
            message, decoded = receive_message(self._child.connection)
        return decoded, message["fault"]


@contextlib.contextmanager
def _descriptor_of(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the file if the system has it open, otherwise a temporary copy."""
    try:
        file.fileno()
    except (OSError, AttributeError):
        with _temporary_file() as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            yield copy
    else:
        yield file


def _temporary_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("recording"), "w+b")
    return cast(BinaryIO, tempfile.TemporaryFile())


_decoders: "weakref.WeakSet[Decoder]" = weakref.WeakSet()


def _forget_all() -> None:
    for decoder in _decoders:
        decoder._forget()


DECODER = Decoder()
"""The decoder that `scenelet.audio.io` uses."""
atexit.register(DECODER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
