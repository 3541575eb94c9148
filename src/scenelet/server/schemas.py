"""What the service answers, as the OpenAPI page describes it."""

from typing import Any

from pydantic import BaseModel, Field


class Picture(BaseModel):
    """A window as the network sees it: its log-mel, one byte a band and frame."""

    levels: str = Field(description="base64 of (bands, frames) bytes, lowest band first; 255 is the loudest")
    bands: int
    frames: int
    seconds: float = Field(description="length of the window")


class Answer(BaseModel):
    """One recording: its probabilities, or what is wrong with it."""

    file: str = Field(description="the name it was sent under")
    label: str | None = Field(None, description="the most probable one")
    unsure: bool | None = Field(None, description="its probability is below the model's threshold")
    probabilities: dict[str, float] | None = None
    windows: int | None = Field(None, description="how many the recording was cut into")
    window_probabilities: list[list[float]] | None = Field(None, description="of each, in the model's order")
    picture: Picture | None = Field(None, description="of the first window, where it was asked for")
    error: str | None = None


class Answers(BaseModel):
    """One answer for each recording, in their order."""

    model: str
    results: list[Answer]


class Health(BaseModel):
    """That the service lives, and how busy it is."""

    status: str
    model: str
    version: str
    under_way: int
    clients: int


class Model(BaseModel):
    """What the service's model is."""

    name: str
    labels: list[str]
    seconds: float = Field(description="length of a window")
    sample_rate: int = Field(description="Hz that it hears; recordings of any rate are taken")
    channels: str
    fmax_hz: float
    threshold: float
    bytes: dict[str, int]
    parameters: int
    macs: int
    provenance: dict[str, Any]
    results: dict[str, Any]
    licenses: list[str]
    limits: dict[str, float]


class Refusal(BaseModel):
    """Why a request was not taken."""

    detail: str
