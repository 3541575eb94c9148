"""Web application of a model: `POST /predict`, `/health`, `/model`, the WebSocket `/stream`, and the page at `/`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi_offline import FastAPIOffline

from scenelet import __version__
from scenelet.audio.decoder import DECODER
from scenelet.audio.formats import EXTENSIONS
from scenelet.inference.classifier import Classifier
from scenelet.inference.threshold import json_thresholds
from scenelet.model.costs import macs
from scenelet.model.sizes import sizes
from scenelet.server.admission import AdmissionControl
from scenelet.server.auth import AccessControl, AccessPolicy
from scenelet.server.connections import RequestTimer
from scenelet.server.limits import ServerLimits
from scenelet.server.prediction import READERS, FairScheduler, predict_uploads
from scenelet.server.schemas import ErrorResponse, Health, ModelInfo, PredictResponse
from scenelet.server.uploads import read_uploads
from scenelet.server.websocket import stream
from scenelet.utils import html as pages
from scenelet.utils.html.live_page import heading

REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}
FORMATS = "WAV, FLAC, Ogg, Opus, MP3, AIFF and others"
DECODER_SECONDS = 2.0  # of processor time for any recording, so that damaged ones do not delay others for long
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The body is damaged, or holds no recording or too many"},
    401: {"model": ErrorResponse, "description": "The token is missing or wrong"},
    403: {"model": ErrorResponse, "description": "Unknown host name, or a request from a page of another origin"},
    408: {"model": ErrorResponse, "description": "The client sent its request too slowly"},
    413: {"model": ErrorResponse, "description": "The request is too large"},
    415: {"model": ErrorResponse, "description": "The body is not multipart/form-data"},
    422: {"model": PredictResponse, "description": "None of the recordings could be classified; each has an error"},
    429: {"model": ErrorResponse, "description": "Too many active requests; try again after Retry-After seconds"},
    431: {"model": ErrorResponse, "description": "The request's header is too large"},
}
DESCRIPTION = """Classify recordings: upload audio files and get the probabilities of the model's labels.

For live audio use the WebSocket `/stream?sample_rate=48000&channels=1&format=f32&hop=1`. Send whole frames of samples
as bytes (`s16`, `s24`, `s32` or `f32`, little-endian, channels interleaved). The service sends one JSON message of type
`prediction` per hop with the window's `probabilities`, the `smoothed` probabilities and a `label`, which is null when
the model is unsure. Send the text `end` to get the remaining predictions."""


def create_app(
    classifier: Classifier,
    name: str,
    limits: ServerLimits | None = None,
    disk_bytes: int = 0,
    policy: AccessPolicy | None = None,
) -> FastAPI:
    """Build the web application; `scenelet.server.run.serve` runs it.

    The application runs in one process, whose threads share the work. Other ASGI servers than that of
    `scenelet.server.run` do not close slow and idle connections.

    Args:
        classifier: the model. The service works on as many recordings at once as the classifier has callers.
        name: name of the model in responses.
        limits: limits of the service; None uses the defaults.
        disk_bytes: size of the model file, which `/model` reports.
        policy: access policy; None accepts requests to `localhost` and IP addresses.

    Examples:
        >>> from scenelet import load
        >>> create_app(load("esc10"), "esc10").title
        'scenelet: esc10'
    """
    limits = limits or ServerLimits()
    scheduler = FairScheduler(classifier.callers)
    DECODER.max_idle, DECODER.start_seconds = READERS, DECODER_SECONDS
    model_info = _model_info(classifier, name, limits, disk_bytes)
    values = {"heading": heading(name, classifier.labels), "extensions": ",".join(EXTENSIONS), "formats": FORMATS}
    page = pages.render("scenelet.server", "page.html", model=model_info.model_dump(), **values)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        scheduler.shutdown()

    app: FastAPI = FastAPIOffline(
        title=f"scenelet: {name}",
        version=__version__,
        description=DESCRIPTION,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(AdmissionControl, limits=limits)
    app.add_middleware(AccessControl, policy=policy or AccessPolicy(), limits=limits)  # runs before admission control
    app.add_middleware(RequestTimer)  # runs first

    _add_page(app, page)
    _add_api(app, classifier, model_info, limits, scheduler)
    return app


def _add_page(app: FastAPI, page: str) -> None:
    """Add the page and the script that it loads."""

    @app.get("/", include_in_schema=False)
    async def home() -> HTMLResponse:
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    @app.get("/capture.js", include_in_schema=False)
    async def capture() -> Response:
        text = pages.asset("templates/live_page/capture.js")
        return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-store"})


def _add_api(
    app: FastAPI, classifier: Classifier, model_info: ModelInfo, limits: ServerLimits, scheduler: FairScheduler
) -> None:
    """Add the routes that programs use."""
    name = model_info.name

    @app.get("/health", response_model=Health)
    async def health(request: Request) -> dict[str, Any]:
        """Report that the service is running, and how many requests are active."""
        active = request.scope["scenelet.admission"].active_requests
        load = {"active_requests": active, "max_clients": limits.max_clients}
        return {"status": "ok", "model": name, "version": __version__, **load}

    @app.get("/model")
    async def model() -> ModelInfo:
        """Describe the model: labels, input, sizes, origin, and the limits of this service."""
        return model_info

    @app.post("/predict", response_model=PredictResponse, responses=ERROR_RESPONSES, openapi_extra=REQUEST_BODY)
    async def predict(
        request: Request,
        spectrogram: Annotated[bool, Query(description="also return the log-mel of each recording")] = False,
    ) -> JSONResponse:
        """Classify one or several recordings: WAV, FLAC, Ogg, Opus, MP3, AIFF and others.

        If a recording cannot be read, its result holds an `error`. The other recordings are still classified.
        """
        uploads = await read_uploads(request, limits)
        is_disconnected = request.is_disconnected
        max_seconds = limits.max_seconds
        results = await predict_uploads(classifier, scheduler, uploads, max_seconds, spectrogram, is_disconnected)
        status = 200 if any("error" not in result for result in results) else 422
        return JSONResponse({"model": name, "results": results}, status)

    @app.websocket("/stream")
    async def live(socket: WebSocket) -> None:
        await stream(socket, classifier, scheduler)


def _model_info(classifier: Classifier, name: str, limits: ServerLimits, disk_bytes: int) -> ModelInfo:
    model = classifier.model
    return ModelInfo(
        name=name,
        labels=list(model.labels),
        window_seconds=model.window.seconds,
        hop_seconds=model.window.hop_seconds or model.window.seconds,
        sample_rate=model.features.sample_rate,
        channels=model.features.channels,
        fmax_hz=model.features.top_hz,
        thresholds=json_thresholds(classifier.thresholds),
        bytes=sizes(model, disk_bytes),
        parameters=model.counts.parameters,
        macs=macs(model.nodes, model.array_shapes, model.input_shape),
        provenance=model.provenance,
        results=model.results,
        licenses=model.licenses,
        limits={
            "max_body_bytes": limits.max_body_bytes,
            "max_seconds": limits.max_seconds,
            "max_clients": limits.max_clients,
        },
    )
