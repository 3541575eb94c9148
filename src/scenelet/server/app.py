"""A model as an application: `POST /predict`, `/health`, `/model`, the WebSocket `/stream`, the page at `/`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi_offline import FastAPIOffline

from scenelet import __version__
from scenelet.inference.classifier import Classifier
from scenelet.model.costs import macs
from scenelet.model.sizes import sizes
from scenelet.server.admission import AdmissionControl
from scenelet.server.auth import POLICY, Access, AccessPolicy
from scenelet.server.limits import ServerLimits
from scenelet.server.prediction import FairScheduler, predict_uploads
from scenelet.server.schemas import Answers, Health, Model, Refusal
from scenelet.server.uploads import uploads
from scenelet.server.websocket import stream
from scenelet.utils import html as pages

FILES = {
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
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The body is damaged, or holds no recording or too many"},
    401: {"model": Refusal, "description": "The service wants its token"},
    403: {"model": Refusal, "description": "The service is not known by this name, or another's page asks"},
    408: {"model": Refusal, "description": "The request came too slowly"},
    413: {"model": Refusal, "description": "The request is too large"},
    415: {"model": Refusal, "description": "The body is not multipart/form-data"},
    422: {"model": Answers, "description": "No recording of the request can be answered; each says why"},
    429: {"model": Refusal, "description": "Too many requests are under way; try again after Retry-After seconds"},
}
ABOUT = """Recordings in, the probabilities of a model's labels out.

Live sound goes through the WebSocket `/stream?sample_rate=48000&channels=1&format=f32&hop=1`: send samples as bytes of
whole frames (`s16`, `s24`, `s32` or `f32`, little-endian, the channels in turn), and get a JSON message of type
`moment` each hop, with the window's `probabilities`, the `smoothed` ones, and a `label`, null where unsure. The text
`end` asks for what is still due."""


def create_app(
    classifier: Classifier,
    name: str,
    limits: ServerLimits | None = None,
    disk_bytes: int = 0,
    allowed: AccessPolicy | None = None,
) -> FastAPI:
    """The service, to be run by `scenelet.server.run`; in one process, whose threads share the work.

    Another ASGI server would leave slow and silent connections to themselves.

    Args:
        classifier: the model; as many recordings are worked on at once as it has `callers`.
        name: what the model is called.
        limits: what is taken; None: the defaults.
        allowed: whom it answers; None: who calls it `localhost` or by an address in numbers.
        disk_bytes: of the model's file, for `/model`.
    """
    bounds = limits or ServerLimits()
    turns = FairScheduler(classifier.callers)
    about = _about(classifier, name, bounds, disk_bytes)
    page = pages.render("scenelet.server", "page.html", model=about.model_dump(), name=name)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        turns.end()

    app: FastAPI = FastAPIOffline(
        title=f"scenelet: {name}",
        version=__version__,
        description=ABOUT,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(AdmissionControl, limits=bounds)
    app.add_middleware(Access, allowed=allowed or AccessPolicy(), limits=bounds)  # in front of the gate

    @app.get("/", include_in_schema=False)
    async def home(request: Request) -> HTMLResponse:
        host = request.headers.get("host", "")
        # older browsers do not take a WebSocket to the same host for "self"
        own = f" ws://{host} wss://{host}" if re.fullmatch(r"[\w.\-:\[\]]+", host) else ""
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY + own, "Cache-Control": "no-store"})

    @app.get("/capture.js", include_in_schema=False)
    async def capture() -> Response:
        text = pages.text("scenelet.server", "capture.js")
        return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-store"})

    @app.get("/health", response_model=Health)
    async def health(request: Request) -> dict[str, Any]:
        """That the service lives, and how many requests are under way."""
        under_way = request.scope["scenelet.gate"].under_way
        busy = {"under_way": under_way, "clients": bounds.max_clients}
        return {"status": "ok", "model": name, "version": __version__, **busy}

    @app.get("/model")
    async def model() -> Model:
        """Labels, what the model hears, sizes, where it comes from, and this service's limits."""
        return about

    @app.post("/predict", response_model=Answers, responses=REFUSALS, openapi_extra=FILES)
    async def predict(
        request: Request,
        picture: Annotated[bool, Query(description="also the first window's log-mel, as a picture")] = False,
    ) -> JSONResponse:
        """Classify recordings: WAV, FLAC, Ogg or MP3, mono or stereo, one or several in a request.

        A recording that cannot be read has an `error` in its place, beside the others' answers.
        """
        files = await uploads(request, bounds)
        results = await predict_uploads(classifier, turns, files, bounds.max_duration, picture, request.is_disconnected)
        status = 200 if any("error" not in result for result in results) else 422
        return JSONResponse({"model": name, "results": results}, status)

    @app.websocket("/stream")
    async def live(socket: WebSocket) -> None:
        await stream(socket, classifier, turns)

    return app


def _about(classifier: Classifier, name: str, limits: ServerLimits, disk_bytes: int) -> Model:
    model = classifier.model
    return Model(
        name=name,
        labels=list(model.labels),
        seconds=model.window.seconds,
        sample_rate=model.features.sample_rate,
        channels=model.features.channels,
        fmax_hz=model.features.top_hz,
        threshold=classifier.threshold,
        bytes=sizes(model, disk_bytes),
        parameters=model.counts.parameters,
        macs=macs(model.nodes, model.array_shapes, model.input_shape),
        provenance=model.provenance,
        results=model.results,
        licenses=model.licenses,
        limits={"max_body": limits.max_body, "max_seconds": limits.max_duration, "clients": limits.max_clients},
    )
