"""The process that decodes compressed recordings for `scenelet.audio.decoder`.

libsndfile and its codecs are native code. On some damaged files they never return, crash or print. In a process of
its own, none of this reaches the program that wants the sound.
"""

import json
import os
import signal
import socket
import struct
from typing import Any, BinaryIO, cast

from scenelet.audio.compressed import CompressedSound
from scenelet.errors import AudioError

REQUEST = struct.Struct("<qd")
"""Number of frames to read, and processor seconds that a new recording may take in any case.

A request with a file's descriptor opens the file, and one for 0 frames closes it. A negative number of frames skips
that many. All but a request to close are answered by a line of JSON and, if it has `size`, by so many bytes of samples.
"""
SECONDS_PER_SECOND = 0.1
"""Further processor time for each second of sound. The slowest codec, Opus, takes 0.005 on an ordinary machine."""


def main() -> None:
    """Serve the parent process at descriptor 0 until it closes the connection."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, also within native code
    sound: CompressedSound | None = None
    limit = 0.0
    with socket.socket(fileno=0) as connection, connection.makefile("wb") as answers:
        while True:
            request, descriptors, _, _ = socket.recv_fds(connection, REQUEST.size, 1)
            if not request:
                return
            frames, start_seconds = REQUEST.unpack(request)
            answer: dict[str, Any] = {}
            samples = bytearray()
            try:
                if descriptors:
                    signal.setitimer(signal.ITIMER_PROF, limit := start_seconds)
                    with os.fdopen(descriptors[0], "rb", buffering=0) as file:
                        sound = CompressedSound(cast(BinaryIO, file))
                    answer |= sound.header
                elif frames < 0 and sound:
                    answer["skipped"] = sound.skip(-frames)
                elif frames and sound:
                    samples, answer["notes"] = sound.read(frames)
                    more = SECONDS_PER_SECOND * len(samples) / (4 * sound.channels * sound.sample_rate)
                    signal.setitimer(signal.ITIMER_PROF, signal.getitimer(signal.ITIMER_PROF)[0] + more)
                    limit += more
                    answer |= {"size": len(samples), "limit_seconds": limit}
                else:
                    sound = None
                    continue
            except AudioError as error:
                answer = {"error": type(error).__name__, "text": str(error)}
            except OSError as error:
                answer = {"error": "AudioError", "text": f"cannot be read ({error.strerror or error})"}
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.write(samples)
            answers.flush()


if __name__ == "__main__":
    main()
