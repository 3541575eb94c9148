"""Who may use the service: by which names, from which pages, with which token; in a browser too."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from helpers.raw_http import heard, link
from helpers.tiny_model import tiny_model
from helpers.web_service import running
from scenelet.cli.serve import read_token
from scenelet.errors import UsageError
from scenelet.inference.classifier import Classifier
from scenelet.model.pretrained import built_in
from scenelet.server.auth import AccessPolicy, access_policy

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SPEECH = "?sample_rate=8000&hop=0.1"


@pytest.fixture(scope="module")
def closed_service() -> Iterator[str]:
    """A service that wants a token."""
    with running(Classifier(tiny_model(), threads=1), "tiny", allowed=AccessPolicy(token=TOKEN)) as address:
        yield address


def sent(address: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{address}/predict", files={"f": b"no sound"}, headers=headers)


@pytest.mark.parametrize("host", ["localhost:{}", "127.0.0.1:{}", "[::1]:{}", "192.168.0.7", "LOCALHOST"])
def test_names_that_nobody_else_can_own(tiny_service: str, host: str) -> None:
    name = host.format(tiny_service.rpartition(":")[2])
    assert sent(tiny_service, Host=name).status_code == 422
    assert sent(tiny_service, Host=name, Origin=f"http://{name.lower()}").status_code == 422


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.", "[", "a b"]
)
def test_a_name_that_was_pointed_here_is_refused(tiny_service: str, host: str) -> None:
    refused = sent(tiny_service, Host=host, Origin=f"http://{host}")
    assert refused.status_code == 403
    assert ("--allow-host" in refused.json()["detail"]) or host in ("[", "a b")


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n"])
def test_a_request_that_does_not_say_whom_it_is_for(tiny_service: str, hosts: bytes) -> None:
    assert b" 403 " in heard(link(tiny_service, b"GET /model HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n"))


def test_a_watchdog_need_not_know_the_name(tiny_service: str) -> None:
    assert b'"status":"ok"' in heard(link(tiny_service, b"GET /health HTTP/1.0\r\n\r\n"))
    assert httpx.get(f"{tiny_service}/health", headers={"Host": "pod-7"}).status_code == 200
    assert httpx.post(f"{tiny_service}/health", headers={"Host": "pod-7"}).status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{tiny_service.replace('http', 'ws')}/health", origin="http://evil.example")  # type: ignore[arg-type]
    assert "another address" in str(refused.value.response.body)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "http://[", ""])
def test_anothers_page_is_refused(tiny_service: str, origin: str) -> None:
    assert sent(tiny_service, Origin=origin).json() == {"detail": "a page of another address may not use this service"}
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{tiny_service.replace('http', 'ws')}/stream{SPEECH}", origin=origin)  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


def test_whom_a_service_answers() -> None:
    assert access_policy("127.0.0.1") == AccessPolicy(frozenset({"127.0.0.1"}))
    assert access_policy("0.0.0.0") == access_policy("::") == access_policy("scenes.lan") == AccessPolicy(None)
    assert access_policy("0.0.0.0", ["Scenes.Example.org"]).names == {"0.0.0.0", "scenes.example.org"}
    assert access_policy("127.0.0.1", ["scenes.example.org"]).names == {"127.0.0.1", "scenes.example.org"}
    with running(Classifier(tiny_model(), threads=1), "tiny", allowed=access_policy("::1", ["a.example"])) as address:
        assert sent(address, Host="a.example", Origin="https://a.example").status_code == 422
        assert sent(address, Host="b.example").status_code == 403
    with running(Classifier(tiny_model(), threads=1), "tiny", allowed=access_policy("0.0.0.0")) as address:
        assert sent(address, Host="any.name:80", Origin="http://any.name:80").status_code == 422
        assert sent(address, Host="any.name:80", Origin="http://other.name").status_code == 403


@pytest.mark.parametrize(
    "name",
    ["example.org:8443", "https://example.org", "example.org/", "*.example.org", "", "a b", "a,b", "b\u00fccher.de"],
)
def test_a_name_that_would_never_be_asked_for(name: str) -> None:
    with pytest.raises(UsageError, match="give a name alone, as in --allow-host"):
        access_policy("0.0.0.0", ["fine.example", name])


@pytest.mark.parametrize("name", ["example.org", "EXAMPLE", "xn--bcher-kva.de", "a_b", "192.168.0.7", "::1"])
def test_names_that_are_taken(name: str) -> None:
    assert name.lower() in (access_policy("0.0.0.0", [name]).names or ())


def test_a_token_is_wanted_of_all_but_a_watchdog(closed_service: str) -> None:
    for headers in ({}, {"Authorization": TOKEN}, {"Authorization": "Bearer x"}, {"Cookie": f"scenelet={TOKEN}"}):
        refused = sent(closed_service, **headers)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer TOKEN" in refused.json()["detail"]
    for path in ("/model", "/docs", "/openapi.json", "/", "/nothing"):
        assert httpx.get(f"{closed_service}{path}").status_code == 401
        assert httpx.get(f"{closed_service}{path}", headers=BEARER).status_code in (200, 404)
    assert sent(closed_service, **BEARER).status_code == 422
    assert httpx.get(f"{closed_service}/health").json()["status"] == "ok"
    stream = f"{closed_service.replace('http', 'ws')}/stream{SPEECH}"
    with pytest.raises(InvalidStatus) as refused_stream:
        connect(stream)
    assert refused_stream.value.response.status_code == 401
    with connect(stream, additional_headers=BEARER) as client:
        assert "ready" in client.recv()


def test_a_page_gets_a_cookie_that_is_not_the_token(closed_service: str) -> None:
    with httpx.Client(base_url=closed_service) as client:
        asked = client.get("/", headers={"Accept": "text/html"})
        assert asked.status_code == 401
        assert "tiny" not in asked.text
        wrong = client.post("/token", data={"token": "x"})
        assert (wrong.status_code, "That is not the token." in wrong.text) == (401, True)
        assert client.post("/token", content=bytes(100_000)).status_code == 401
        right = client.post("/token", data={"token": TOKEN})
        assert (right.status_code, right.headers["Location"]) == (303, "./")
        cookie = right.headers["Set-Cookie"].lower()
        assert TOKEN not in cookie
        assert {"httponly", "samesite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert client.get("/model").json()["name"] == "tiny"
        for others in ('prefs={"a":1}; %s', "a b; =; %s; c=[]", '%s; prefs={"a":1}'):  # cookies of another service here
            sent_along = {"Cookie": others % right.headers["Set-Cookie"].partition(";")[0]}
            assert httpx.get(f"{closed_service}/model", headers=sent_along).status_code == 200
        assert (
            client.post("/token", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}).status_code == 403
        )


def test_the_page_with_a_token(browser: Browser, closed_service: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{closed_service}/")
    page.get_by_label("This service wants its token:").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    page.goto("about:blank")
    page.goto(f"{closed_service}/#token={TOKEN}")
    expect(page.get_by_role("heading", name="tiny")).to_be_visible()
    assert TOKEN not in page.url
    page.set_input_files("#files", built_in("esc10").with_name("esc10.example.ogg"))  # type: ignore[union-attr]
    expect(page.locator("#history .answer:not(.soft)")).to_have_count(1)
    expect(page.locator("#history .answer")).not_to_have_class("answer bad")
    assert page.evaluate(TALK, "stream?sample_rate=8000&hop=0.1") == "ready"
    page.get_by_role("link", name="API").click()
    expect(page.locator(".opblock-summary-path").get_by_text("/predict")).to_be_visible()
    context.close()


def test_a_token_of_any_signs_in_an_address(browser: Browser) -> None:
    token = "a+b&c=d#e/f?g;100%"
    with running(
        Classifier(tiny_model(), threads=1), "tiny", allowed=access_policy("127.0.0.1", token=token)
    ) as address:
        for given in (quote(token, safe=""), token):
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{address}/#token={given}")
            expect(page.get_by_role("heading", name="tiny")).to_be_visible()
            assert "#" not in page.url
            context.close()


TALK = """(path) => new Promise((done) => {
    const address = new URL(path, location.href);
    address.protocol = "ws:";
    const socket = new WebSocket(address);
    socket.onmessage = (message) => { done(JSON.parse(message.data).type); socket.close(); };
    socket.onerror = () => done("refused");
})"""


def test_anothers_page_in_a_browser(browser: Browser, tiny_service: str, esc10_service: str) -> None:
    """Both run on this machine, at other ports, which is another address."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{esc10_service}/model")  # whose policy does not keep it from asking elsewhere
    assert page.evaluate(TALK, "/stream?sample_rate=8000") == "ready"
    assert page.evaluate(TALK, f"{tiny_service}/stream?sample_rate=8000&hop=0.1") == "refused"
    with page.expect_response(f"{tiny_service}/predict") as answered:
        page.evaluate(
            "(url) => fetch(url, {method: 'POST', mode: 'no-cors', body: new FormData()})", f"{tiny_service}/predict"
        )
    assert answered.value.status == 403
    context.close()


def test_where_a_token_comes_from(tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(f"{TOKEN}\n")
    assert (read_token(None), read_token(TOKEN), read_token(f"@{kept}")) == (None, TOKEN, TOKEN)
    with pytest.raises(UsageError, match="none: cannot be read \\(No such file"):
        read_token(f"@{tmp_path / 'none'}")
    for poor in ("", "short", "with a space in it all", "bätterie-bätterie", "x" * 20 + "\n"):
        with pytest.raises(UsageError, match="at least 16 signs, of those that a header can carry: ASCII letters"):
            access_policy("127.0.0.1", token=poor)
