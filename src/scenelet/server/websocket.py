"""WebSocket for live audio: receives PCM samples, and sends one prediction per hop."""

import json
from collections.abc import Iterator
from typing import Any, get_args

from starlette.websockets import WebSocket, WebSocketDisconnect

from scenelet.audio.io import Samples
from scenelet.audio.pcm import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, PcmFormat, SampleFormat, decode_pcm
from scenelet.errors import SceneletError, UsageError
from scenelet.inference.classifier import Classifier
from scenelet.inference.stream import PredictionSmoother, Stream, StreamPrediction, make_smoother
from scenelet.server.prediction import FairScheduler

MAX_DIGITS = 20  # of an integer in the query
MAX_FIRST_MESSAGES, MAX_MESSAGES_PER_SECOND = 100, 500  # of sound; a browser's smallest block lasts 1/375 s
NORMAL_CLOSURE, POLICY_VIOLATION = 1000, 1008
"""WebSocket close codes."""


async def stream(socket: WebSocket, classifier: Classifier, scheduler: FairScheduler) -> None:
    """Serve one client until it disconnects, sends the text "end", or sends an invalid message.

    The query holds `sample_rate` in Hz, `channels` 1 or 2, `format` s16, s24, s32 or f32 (little-endian), and `hop` in
    seconds. The client sends whole frames as bytes, and the text "end" to get the remaining predictions. The service
    sends JSON: one message of type "ready", then messages of type "prediction", and finally "error" or "end".
    """
    try:
        await socket.accept()
        try:
            await _serve(socket, classifier, scheduler)
        except SceneletError as error:
            await _send(socket, "error", POLICY_VIOLATION, message=str(error))
    except WebSocketDisconnect:
        pass


async def _serve(socket: WebSocket, classifier: Classifier, scheduler: FairScheduler) -> None:
    pcm, hop = _parse_query(socket)
    live = Stream(classifier, pcm.sample_rate, hop)
    smoother = make_smoother(classifier)
    window, hop = live.window_seconds, live.hop_seconds
    await _send(socket, "ready", labels=classifier.labels, window_seconds=window, hop_seconds=hop)

    async def send_predictions(predictions: Iterator[StreamPrediction]) -> None:
        # one window per turn, so that other requests progress and a disconnect is noticed
        while True:
            async with scheduler:
                prediction = await scheduler.run(next, predictions, None)
            if prediction is None:
                return
            await _send(socket, "prediction", **_to_json(smoother, prediction))

    messages = frames = 0
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes"):
            messages += 1
            frames += len(message["bytes"]) // pcm.frame_bytes
            if messages > MAX_FIRST_MESSAGES + MAX_MESSAGES_PER_SECOND * frames / pcm.sample_rate:
                raise UsageError("too many small messages; send more samples in each")
            # At a low rate one message may hold minutes, and resampling makes them many times larger.
            for second in _seconds(decode_pcm(message["bytes"], pcm), pcm.sample_rate):
                await send_predictions(live.push(second))
        elif message.get("text") == "end":
            await send_predictions(live.finish())
            await _send(socket, "end", NORMAL_CLOSURE)
            return
        else:
            raise UsageError('send samples as bytes, or the text "end"')


def _seconds(samples: Samples, sample_rate: int) -> Iterator[Samples]:
    """Cut samples (channels, n) into blocks of one second."""
    for start in range(0, samples.shape[1], sample_rate):
        yield samples[:, start : start + sample_rate]


def _to_json(smoother: PredictionSmoother, prediction: StreamPrediction) -> dict[str, Any]:
    smoothed = smoother.update(prediction)
    return {
        "seconds": prediction.seconds,
        "probabilities": prediction.probabilities.tolist(),
        "smoothed": list(smoothed.probabilities.values()),
        "label": smoothed.label,
        "confidence": smoothed.confidence,
        "changed": smoothed.changed,
    }


async def _send(socket: WebSocket, kind: str, close_code: int | None = None, **values: Any) -> None:
    """Send a message, and close the connection if there is a code."""
    try:
        await socket.send_text(json.dumps({"type": kind, **values}))
        if close_code is not None:
            await socket.close(close_code)
    except RuntimeError as error:  # uvicorn has closed the connection itself, e.g. after a message that is too large
        raise WebSocketDisconnect from error


def _parse_query(socket: WebSocket) -> tuple[PcmFormat, float | None]:
    """Check the query; return the format of the samples, and the hop in seconds if there is one."""
    query = socket.query_params
    unknown = set(query) - {"sample_rate", "channels", "format", "hop"}
    if unknown:
        raise UsageError(f"{min(unknown)}: no such parameter; use sample_rate, channels, format and hop")
    rate, channels, hop = query.get("sample_rate", ""), query.get("channels", "1"), query.get("hop")
    # the length is checked first, since int() raises for thousands of digits
    if not rate.isdecimal() or len(rate) > MAX_DIGITS or not MIN_SAMPLE_RATE <= int(rate) <= MAX_SAMPLE_RATE:
        allowed = f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        raise UsageError(f"sample_rate={rate[:MAX_DIGITS]}: give the samples' rate, {allowed}")
    if channels not in ("1", "2"):
        raise UsageError(f"channels={channels}: give 1 or 2")
    name = query.get("format", "f32")
    formats: tuple[SampleFormat, ...] = get_args(SampleFormat)
    sample_format = next((known for known in formats if known == name), None)
    if sample_format is None:
        raise UsageError(f"format={name}: give one of {', '.join(formats)}")
    try:
        hop_seconds = None if hop is None else float(hop)
    except ValueError:
        raise UsageError(f"hop={hop}: give seconds, e.g. 1") from None
    return PcmFormat(int(rate), int(channels), sample_format), hop_seconds
