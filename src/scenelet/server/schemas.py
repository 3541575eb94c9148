"""Responses of the service, as its OpenAPI page describes them."""

from typing import Any

from pydantic import BaseModel, Field


class Spectrogram(BaseModel):
    """Log-mel of a recording, one byte per band and frame. Neighboring frames of a long recording are averaged."""

    levels: str = Field(description="base64 of (bands, frames) bytes, lowest band first; 255 is the loudest")
    bands: int
    frames: int
    seconds: float = Field(description="length of the recording")


class RecordingResult(BaseModel):
    """Prediction for one recording, or the error that prevented it."""

    file: str = Field(description="file name from the request")
    label: str | None = Field(None, description="most probable label, or `silence` or `too short`")
    unsure: bool | None = Field(None, description="true if its probability is below the label's threshold")
    probabilities: dict[str, float] | None = None
    windows: int | None = Field(None, description="number of windows that the recording was cut into")
    window_probabilities: list[list[float]] | None = Field(None, description="per window, in the order of the labels")
    spectrogram: Spectrogram | None = Field(None, description="of the recording, if the request asked for it")
    notes: list[str] | None = Field(None, description="what is odd about the file, one sentence each")
    error: str | None = None


class PredictResponse(BaseModel):
    """One result per recording, in the order of the request."""

    model: str
    results: list[RecordingResult]


class Health(BaseModel):
    """State of the service and its load."""

    status: str
    model: str
    version: str
    active_requests: int
    max_clients: int


class ModelInfo(BaseModel):
    """Description of the model, and the limits of the service."""

    name: str
    labels: list[str]
    window_seconds: float = Field(description="length of a window")
    hop_seconds: float = Field(description="time between the starts of two windows")
    sample_rate: int = Field(description="the model's rate in Hz; recordings are resampled to it")
    channels: str | int
    fmax_hz: float
    thresholds: list[float | None] = Field(
        description="minimum probability of a sure answer, in the order of the labels; null: never sure"
    )
    bytes: dict[str, int]
    parameters: int
    macs: int
    provenance: dict[str, Any]
    results: dict[str, Any]
    licenses: list[str]
    limits: dict[str, float]


class ErrorResponse(BaseModel):
    """Reason why a request was refused."""

    detail: str
