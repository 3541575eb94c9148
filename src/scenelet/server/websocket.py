"""The WebSocket: PCM in, a message for each hop out."""

import json
from collections.abc import Iterator
from typing import Any, get_args

from starlette.websockets import WebSocket, WebSocketDisconnect

from scenelet.audio.io import Samples
from scenelet.audio.pcm import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, PcmFormat, SampleFormat, decode_pcm
from scenelet.errors import SceneletError, UsageError
from scenelet.inference.classifier import Classifier
from scenelet.inference.stream import PredictionSmoother, Stream, StreamPrediction
from scenelet.server.prediction import FairScheduler

MAX_DIGITS = 20  # of a whole number in the address
POLICY, NORMAL = 1008, 1000
"""WebSocket close codes."""


async def stream(socket: WebSocket, classifier: Classifier, turns: FairScheduler) -> None:
    """Serve one client until it closes, sends the text "end", or sends what cannot be understood.

    Query: `sample_rate` in Hz, `channels` 1 or 2, `format` s16, s24, s32 or f32 (little-endian), `hop` in seconds.
    Messages in: bytes of whole frames; the text "end", after which what is still due is sent. Messages out, JSON: one
    of type "ready", then of type "moment", and "error" or "end" as the last one.
    """
    try:
        await socket.accept()
        try:
            await _answer(socket, classifier, turns)
        except SceneletError as error:
            await _send(socket, "error", message=str(error))
            await socket.close(POLICY)
    except WebSocketDisconnect:
        pass  # the client has gone


async def _answer(socket: WebSocket, classifier: Classifier, turns: FairScheduler) -> None:
    pcm, hop = _query(socket)
    live = Stream(classifier, pcm.sample_rate, hop)
    decider = PredictionSmoother(classifier.labels, classifier.threshold)
    lengths = {"window_seconds": live.window_seconds, "hop_seconds": live.hop_seconds}
    await _send(socket, "ready", labels=classifier.labels, **lengths)

    async def tell(moments: Iterator[StreamPrediction]) -> None:
        # one window at a time: others get their turn, and who has gone is noticed
        while True:
            async with turns:
                moment = await turns.run(next, moments, None)
            if moment is None:
                return
            await _send(socket, "moment", **_moment(decider, moment))

    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes"):
            # little by little: at a low rate a message may hold minutes, which at the model's are many times as large
            for part in _parts(decode_pcm(message["bytes"], pcm), pcm.sample_rate):
                await tell(live.push(part))
        elif message.get("text") == "end":
            await tell(live.finish())
            await _send(socket, "end")
            await socket.close(NORMAL)
            return
        else:
            raise UsageError('send samples as bytes, or the text "end"')


def _parts(samples: Samples, sample_rate: int) -> Iterator[Samples]:
    """Samples (channels, n), a second at a time."""
    for start in range(0, samples.shape[1], sample_rate):
        yield samples[:, start : start + sample_rate]


def _moment(decider: PredictionSmoother, moment: StreamPrediction) -> dict[str, Any]:
    decision = decider.update(moment)
    return {
        "seconds": moment.seconds,
        "probabilities": moment.probabilities.tolist(),
        "smoothed": list(decision.probabilities.values()),
        "label": decision.label,
        "confidence": decision.confidence,
        "changed": decision.changed,
    }


async def _send(socket: WebSocket, kind: str, **values: Any) -> None:
    await socket.send_text(json.dumps({"type": kind, **values}))


def _query(socket: WebSocket) -> tuple[PcmFormat, float | None]:
    """The sound's format and the hop from the address, each checked."""
    query = socket.query_params
    unknown = set(query) - {"sample_rate", "channels", "format", "hop"}
    if unknown:
        raise UsageError(f"{min(unknown)}: no such parameter; there are sample_rate, channels, format and hop")
    rate, channels, hop = query.get("sample_rate", ""), query.get("channels", "1"), query.get("hop")
    # by length first: Python refuses to read thousands of digits, with an error of its own
    if not rate.isdecimal() or len(rate) > MAX_DIGITS or not MIN_SAMPLE_RATE <= int(rate) <= MAX_SAMPLE_RATE:
        raise UsageError(f"sample_rate={rate[:MAX_DIGITS]}: give the samples' rate, {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz")
    if channels not in ("1", "2"):
        raise UsageError(f"channels={channels}: give 1 or 2")
    form = query.get("format", "f32")
    known: tuple[SampleFormat, ...] = get_args(SampleFormat)
    chosen = next((one for one in known if one == form), None)
    if chosen is None:
        raise UsageError(f"format={form}: it is one of {', '.join(known)}")
    try:
        seconds = None if hop is None else float(hop)
    except ValueError:
        raise UsageError(f"hop={hop}: give seconds, e.g. 1") from None
    return PcmFormat(int(rate), int(channels), chosen), seconds
