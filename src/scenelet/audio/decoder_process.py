"""The process that decodes compressed recordings for `scenelet.audio.decoder`, and the reader that it uses.

libsndfile and its codecs are native code. On some damaged files they never return, crash or print. In a process of
its own, none of this reaches the program that wants the sound.
"""

import bisect
import functools
import io
import itertools
import json
import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import soundfile

Piece: TypeAlias = bytes | tuple[int, int]
"""A part of what the decoder sees: bytes, or the first and one past the last byte of a range of the file."""


class PiecewiseFile(io.RawIOBase):
    """Read-only file that consists of pieces, some of them ranges of an open file.

    Args:
        read_at: function that reads a number of bytes of the open file at an offset.
        pieces: what is read, in this order.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], pieces: Sequence[Piece]) -> None:
        self._read_at, self._pieces = read_at, pieces
        lengths = [len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces]
        self._ends = list(itertools.accumulate(lengths))
        self._position = 0

    def pieces_from(self, offset: int) -> list[Piece]:
        """Return the pieces without the bytes before an offset."""
        left: list[Piece] = []
        for piece, end in zip(self._pieces, self._ends, strict=True):
            if isinstance(piece, bytes):
                left.append(piece[max(0, len(piece) - (end - offset)) :])
            elif end > offset:
                left.append((max(piece[0], piece[1] - (end - offset)), piece[1]))
        return left

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position. A negative one becomes 0: libsndfile seeks before the start of some damaged files."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer. Fewer bytes are read only at the end of the file."""
        target, count = memoryview(buffer).cast("B"), 0
        while count < len(target):
            index = bisect.bisect_right(self._ends, self._position)
            if index == len(self._pieces):
                break
            wanted = min(len(target) - count, self._ends[index] - self._position)
            piece = self._pieces[index]
            if isinstance(piece, bytes):
                first = len(piece) - (self._ends[index] - self._position)
                data = piece[first : first + wanted]
            else:
                data = self._read_at(wanted, piece[1] - (self._ends[index] - self._position))
            if not data:
                break  # the file became shorter since it was opened
            target[count : count + len(data)] = data
            count += len(data)
            self._position += len(data)
        return count


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Sound file that is only read from its beginning to its end.

    Otherwise `soundfile` seeks after each read to where the file is already. That fails behind a fault.
    """

    def seekable(self) -> bool:
        """Return False, so that `soundfile` does not seek."""
        return False


class SoundReader:
    """Reader of a recording by libsndfile.

    Args:
        descriptor: of the open file.
        pieces: what the decoder sees of it.

    Raises:
        soundfile.LibsndfileError: libsndfile cannot read this.
    """

    def __init__(self, descriptor: int, pieces: Sequence[Piece]) -> None:
        self._file = _SequentialFile(PiecewiseFile(functools.partial(os.pread, descriptor), pieces))
        self._left = self._file.frames
        self.header = {
            "sample_rate": self._file.samplerate,
            "channels": self._file.channels,
            "frames": self._file.frames,
            "format": self._file.format,
            "subtype": self._file.subtype,
        }

    def read(self, frames: int) -> tuple[bytearray, str]:
        """Read up to `frames` frames as float32, and return them with the decoder's complaint or an empty text."""
        # libsndfile does not say how much it has decoded before a fault. No decoded sample has only ones as bits.
        decoded = bytearray(b"\xff") * (4 * self._file.channels * min(frames, self._left))
        fault = ""
        try:
            count = self._file.buffer_read_into(decoded, "float32")
            decoded = decoded[: 4 * self._file.channels * count]
        except soundfile.LibsndfileError as error:
            fault = error_reason(error)
            decoded = decoded.rstrip(b"\xff")
        self._left -= len(decoded) // (4 * self._file.channels)
        return decoded, fault

    def close(self) -> None:
        """Close libsndfile's handle."""
        self._file.close()


def error_reason(error: soundfile.LibsndfileError) -> str:
    """Return libsndfile's message without its prefix and full stop."""
    return str(error.error_string).strip().rstrip(".").strip()


def send_message(connection: socket.socket, message: dict[str, Any], data: bytes | bytearray = b"") -> None:
    """Send a message and the bytes that belong to it."""
    encoded = json.dumps(message).encode()
    connection.sendall(struct.pack("<II", len(encoded), len(data)) + encoded)
    connection.sendall(data)


def receive_message(connection: socket.socket) -> tuple[dict[str, Any], bytearray]:
    """Receive what `send_message` sends.

    Raises:
        EOFError: the other side is gone.
    """
    message_size, data_size = struct.unpack("<II", receive_bytes(connection, 8))
    message: dict[str, Any] = json.loads(receive_bytes(connection, message_size))
    return message, receive_bytes(connection, data_size)


def receive_bytes(connection: socket.socket, size: int) -> bytearray:
    """Receive exactly `size` bytes.

    Raises:
        EOFError: the other side is gone.
    """
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return data


def main() -> None:
    """Serve the parent process at descriptor 0 until it closes the connection."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, also within native code
    with socket.socket(fileno=0) as connection:
        while True:
            try:
                _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
                if not descriptors:
                    return
                _serve_recording(connection, descriptors[0])
                os.close(descriptors[0])
            except (EOFError, ConnectionError):
                return


def _serve_recording(connection: socket.socket, descriptor: int) -> None:
    """Open a recording and send its blocks until the parent wants no more."""
    request, data = receive_message(connection)
    start_seconds, rate = request["start_seconds"], request["seconds_per_second"]
    offset = 0
    pieces: list[Piece] = []
    for size in request["pieces"]:
        if isinstance(size, int):
            pieces.append(bytes(data[offset : offset + size]))
            offset += size
        else:
            pieces.append((size[0], size[1]))
    signal.setitimer(signal.ITIMER_PROF, start_seconds)
    try:
        reader = SoundReader(descriptor, pieces)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error_reason(error) if isinstance(error, soundfile.LibsndfileError) else str(error.strerror)
        send_message(connection, {"fault": reason})
        return
    send_message(connection, reader.header)
    sample_rate = max(1, reader.header["sample_rate"])
    while frames := receive_message(connection)[0]["frames"]:
        left, _ = signal.getitimer(signal.ITIMER_PROF)
        signal.setitimer(signal.ITIMER_PROF, left + rate * frames / sample_rate)
        decoded, fault = reader.read(frames)
        left, _ = signal.getitimer(signal.ITIMER_PROF)
        unused = frames - len(decoded) // (4 * reader.header["channels"])
        signal.setitimer(signal.ITIMER_PROF, max(1e-3, left - rate * unused / sample_rate))
        send_message(connection, {"fault": fault}, decoded)
    reader.close()


if __name__ == "__main__":
    main()
