"""`scenelet serve`."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.options import ModelArgument, QuietOption, Runtime, RuntimeOption, parse_bytes
from scenelet.errors import UsageError
from scenelet.utils.console import print_message
from scenelet.utils.parallel import cpu_count
from scenelet.utils.process import give_back_memory

if TYPE_CHECKING:
    from scenelet.server.limits import ServerLimits

MIN_BODY_BYTES, MAX_BODY_BYTES = 10_000, 4_000_000_000


def serve(
    model: ModelArgument,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free port.")] = 8000,
    max_body: Annotated[str, typer.Option(help="Maximum size of a request, e.g. 50MB.")] = "50MB",
    max_duration: Annotated[
        float,
        typer.Option(
            min=1, max=86_400, help="Maximum length of a recording, and of the audio in a request, in seconds."
        ),
    ] = 600.0,
    max_clients: Annotated[
        int,
        typer.Option(min=1, max=10_000, help="Maximum concurrent requests and live streams."),
    ] = 64,
    client_timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds that the service waits for a slow or idle client.")
    ] = 30.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Host name, without port, that clients may use, e.g. behind a proxy; may be repeated."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SCENELET_TOKEN",
            help="Secret that all requests but /health must send; @FILE reads it from a file.",
        ),
    ] = None,
    runtime: RuntimeOption = Runtime.onnxruntime,
    quiet: QuietOption = False,
) -> None:
    """Serve a model over HTTP and WebSocket, with a test page."""
    from scenelet.errors import escape_unprintable
    from scenelet.inference.classifier import load
    from scenelet.model.pretrained import model_path
    from scenelet.server.app import create_app
    from scenelet.server.auth import make_access_policy
    from scenelet.server.run import bind
    from scenelet.server.run import serve as run_service

    give_back_memory()
    limits = make_limits(max_body, max_duration, max_clients, client_timeout)
    secret = read_token(token)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(listening) for listening in bind(host, port)]
        addresses = [listening.getsockname()[0] for listening in sockets]
        policy = make_access_policy(host, addresses, allow_host or (), secret)
        classifier = load(model, runtime=runtime.value, callers=cpu_count())
        path = model_path(model)
        app = create_app(classifier, escape_unprintable(Path(model).stem), limits, path.stat().st_size, policy)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{sockets[0].getsockname()[1]}"
        asks = "" if policy.token is None else "; it asks for the token"
        print_message(f"serving {escape_unprintable(model)} at {address} (API: {address}/docs){asks}; Ctrl-C stops")
        run_service(app, sockets, limits)


def make_limits(max_body: str, max_duration: float, max_clients: int, client_timeout: float) -> "ServerLimits":
    """Check the limits that the user gave.

    Raises:
        UsageError: a size below `MIN_BODY_BYTES` or above `MAX_BODY_BYTES`.

    Example:
        >>> make_limits("50MB", 600.0, 64, 30.0).max_body_bytes
        50000000
    """
    from scenelet.server.limits import ServerLimits

    largest = parse_bytes("--max-body", max_body)
    if not MIN_BODY_BYTES <= largest <= MAX_BODY_BYTES:
        allowed = f"{MIN_BODY_BYTES // 1000} kB (a short recording) to {MAX_BODY_BYTES // 1000**2} MB"
        raise UsageError(f"--max-body {max_body}: give a size from {allowed}; up to four bodies are in memory at once")
    return ServerLimits(largest, max_duration, max_clients, client_timeout_seconds=client_timeout)


def read_token(given: str | None) -> str | None:
    """Return the token; `@FILE` reads it from a file.

    Typer treats an empty environment variable as a missing one, which would start the service without a token.

    Raises:
        UsageError: the file cannot be read, or the environment variable is empty.

    Example:
        >>> read_token("secret")
        'secret'
    """
    if given is None and os.environ.get("SCENELET_TOKEN") == "":
        raise UsageError("SCENELET_TOKEN is empty; set it to the token, or unset it to serve without a token")
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"--token {given}: cannot be read ({reason})") from None
