"""Access policy: host names, origins and the token, over HTTP and in a browser."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from helpers.raw_http import exchange
from helpers.tiny_model import tiny_model
from helpers.web_service import run_service, websocket_url
from scenelet.errors import UsageError
from scenelet.inference.classifier import Classifier
from scenelet.model.pretrained import built_in
from scenelet.server.auth import AccessPolicy, make_access_policy
from scenelet.server.run import bind

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
STREAM = "stream?sample_rate=8000&hop=0.1"


@pytest.fixture(scope="module")
def token_service() -> Iterator[str]:
    """URL of a service that requires a token."""
    with run_service(Classifier(tiny_model(), threads=1), "tiny", policy=AccessPolicy(token=TOKEN)) as address:
        yield address


def upload(address: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{address}/predict", files={"f": b"no sound"}, headers=headers)


@pytest.mark.parametrize("host", ["localhost:{}", "127.0.0.1:{}", "[::1]:{}", "192.168.0.7", "LOCALHOST"])
def test_access_local_host_names_are_allowed(tiny_service: str, host: str) -> None:
    name = host.format(tiny_service.rpartition(":")[2])
    assert upload(tiny_service, Host=name).status_code == 422
    assert upload(tiny_service, Host=name, Origin=f"http://{name.lower()}").status_code == 422


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.", "[", "a b"]
)
def test_access_unknown_host_name_is_refused(tiny_service: str, host: str) -> None:
    refused = upload(tiny_service, Host=host, Origin=f"http://{host}")
    assert refused.status_code == 403
    assert ("--allow-host" in refused.json()["detail"]) or host in ("[", "a b")


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host:\r\n"])
def test_access_missing_or_second_host_is_refused(tiny_service: str, hosts: bytes) -> None:
    for version, status in ((b"1.0", b" 403 "), (b"1.1", b" 40")):  # h11 requires one from HTTP/1.1 on
        request = b"GET /model HTTP/%s\r\nConnection: close\r\n%s\r\n" % (version, hosts)
        assert status in exchange(tiny_service, request)[:15] or b" 400 " in exchange(tiny_service, request)[:15]


def test_access_health_check_needs_no_host_name(tiny_service: str) -> None:
    assert b'"status":"ok"' in exchange(tiny_service, b"GET /health HTTP/1.0\r\n\r\n")
    assert httpx.get(f"{tiny_service}/health", headers={"Host": "pod-7"}).status_code == 200
    assert httpx.post(f"{tiny_service}/health", headers={"Host": "pod-7"}).status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        connect(websocket_url(tiny_service, "health"), origin="http://evil.example")  # type: ignore[arg-type]
    assert "another origin" in str(refused.value.response.body)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "http://[", ""])
def test_access_other_origin_is_refused(tiny_service: str, origin: str) -> None:
    assert upload(tiny_service, Origin=origin).json() == {
        "detail": "pages of another origin may not use this service; open its own page"
    }
    with pytest.raises(InvalidStatus) as refused:
        connect(websocket_url(tiny_service, STREAM), origin=origin)  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("host", ["LOCALHOST", "127.1", "::ffff:127.0.0.1", "0x7f.1", "::1", "localhost"])
def test_make_access_policy_loopback_in_any_form_checks_names(host: str) -> None:
    sockets = bind(host, 0)
    addresses = [listening.getsockname()[0] for listening in sockets]
    for listening in sockets:
        listening.close()
    assert make_access_policy(host, addresses) == AccessPolicy(frozenset({host.lower()}))


@pytest.mark.parametrize("addresses", [["127.0.1.1"], ["192.168.0.7", "127.0.1.1"], ["::1%lo"]])
def test_make_access_policy_name_of_machine_checks_names(addresses: list[str]) -> None:
    """Debian lists a machine's own name as 127.0.1.1."""
    assert make_access_policy("Workshop", addresses).host_names == {"workshop"}


def test_make_access_policy_by_listening_address() -> None:
    for name, addresses in (("0.0.0.0", ["0.0.0.0"]), ("::", ["::"]), ("scenes.lan", ["192.168.0.7", "fe80::1%eth0"])):
        assert make_access_policy(name, addresses) == AccessPolicy(None)
    for address in ("0.0.0.0", "127.0.0.1"):
        names = make_access_policy(address, [address], ["Scenes.Example.org"]).host_names
        assert names == {address, "scenes.example.org"}
    policy = make_access_policy("::1", ["::1"], ["a.example"])
    with run_service(Classifier(tiny_model(), threads=1), "tiny", policy=policy) as address:
        assert upload(address, Host="a.example", Origin="https://a.example").status_code == 422
        assert upload(address, Host="b.example").status_code == 403
    policy = make_access_policy("0.0.0.0", ["0.0.0.0"])
    with run_service(Classifier(tiny_model(), threads=1), "tiny", policy=policy) as address:
        assert upload(address, Host="any.name:80", Origin="http://any.name:80").status_code == 422
        assert upload(address, Host="any.name:80", Origin="http://other.name").status_code == 403


@pytest.mark.parametrize(
    "name",
    ["example.org:8443", "https://example.org", "example.org/", "*.example.org", "", "a b", "a,b", "b\u00fccher.de"],
)
def test_make_access_policy_invalid_name_raises(name: str) -> None:
    with pytest.raises(UsageError, match="not a host name; give the name only"):
        make_access_policy("0.0.0.0", ["0.0.0.0"], ["fine.example", name])


@pytest.mark.parametrize("name", ["example.org", "EXAMPLE", "xn--bcher-kva.de", "a_b", "192.168.0.7", "::1"])
def test_make_access_policy_valid_name_is_added(name: str) -> None:
    assert name.lower() in (make_access_policy("0.0.0.0", ["0.0.0.0"], [name]).host_names or ())


def test_token_is_required_except_for_health_check(token_service: str) -> None:
    for headers in ({}, {"Authorization": TOKEN}, {"Authorization": "Bearer x"}, {"Cookie": f"scenelet={TOKEN}"}):
        refused = upload(token_service, **headers)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer TOKEN" in refused.json()["detail"]
    for path in ("/model", "/docs", "/openapi.json", "/", "/nothing"):
        assert httpx.get(f"{token_service}{path}").status_code == 401
        assert httpx.get(f"{token_service}{path}", headers=BEARER).status_code in (200, 404)
    assert upload(token_service, **BEARER).status_code == 422
    assert httpx.get(f"{token_service}/health").json()["status"] == "ok"
    stream = websocket_url(token_service, STREAM)
    with pytest.raises(InvalidStatus) as refused_stream:
        connect(stream)
    assert refused_stream.value.response.status_code == 401
    with connect(stream, additional_headers=BEARER) as client:
        assert "ready" in client.recv()


def test_login_sets_cookie_that_is_not_the_token(token_service: str) -> None:
    with httpx.Client(base_url=token_service) as client:
        page = client.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 401
        assert "tiny" not in page.text
        wrong = client.post("/token", data={"token": "x"})
        assert (wrong.status_code, "Wrong token." in wrong.text) == (401, True)
        assert client.post("/token", content=bytes(100_000)).status_code == 401
        right = client.post("/token", data={"token": TOKEN})
        assert (right.status_code, right.headers["Location"]) == (303, "./")
        cookie = right.headers["Set-Cookie"].lower()
        assert TOKEN not in cookie
        assert {"httponly", "samesite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert client.get("/model").json()["name"] == "tiny"
        for others in ('prefs={"a":1}; %s', "a b; =; %s; c=[]", '%s; prefs={"a":1}'):  # other services on this host
            headers = {"Cookie": others % right.headers["Set-Cookie"].partition(";")[0]}
            assert httpx.get(f"{token_service}/model", headers=headers).status_code == 200
        assert (
            client.post("/token", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}).status_code == 403
        )


def test_login_cookie_of_another_port_is_kept(token_service: str) -> None:
    """A browser sends a cookie to all ports of a host, so services must not use the same name."""
    policy = AccessPolicy(token="another-horse-battery")
    with (
        run_service(Classifier(tiny_model(), threads=1), "other", policy=policy) as other,
        httpx.Client() as browser,
    ):
        browser.post(f"{token_service}/token", data={"token": TOKEN})
        browser.post(f"{other}/token", data={"token": policy.token or ""})
        assert browser.get(f"{token_service}/model").json()["name"] == "tiny"
        assert browser.get(f"{other}/model").json()["name"] == "other"


def test_responses_forbid_frames_and_other_hosts(token_service: str) -> None:
    """Also refusals, and the pages that FastAPI writes."""
    for headers in (BEARER, {}, {"Host": "evil.example"}, {"Accept": "text/html"}):
        for path in ("/", "/docs", "/model", "/openapi.json", "/health", "/nothing", "/capture.js"):
            response = httpx.get(f"{token_service}{path}", headers=headers)
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'self'")
            assert "frame-ancestors 'none'" in policy
    assert "frame-ancestors 'none'" in upload(token_service).headers["Content-Security-Policy"]
    with pytest.raises(InvalidStatus) as refused:
        connect(websocket_url(token_service, STREAM))
    assert "frame-ancestors 'none'" in refused.value.response.headers["Content-Security-Policy"]


def test_access_large_header_is_refused(tiny_service: str) -> None:
    """The server sees the whole header at once if it arrives fast enough, so it cannot rely on its buffer's size."""
    for size, statuses in ((63_000, (b" 200 ",)), (64_001, (b" 400 ", b" 431 ")), (70_000, (b" 400 ", b" 431 "))):
        for start in (b"GET /model?", b"GET /health HTTP/1.1\r\nX: "):
            end = b" HTTP/1.1\r\n" if b"?" in start else b"\r\n"
            rest = b"Host: localhost\r\nConnection: close\r\n\r\n"
            response = exchange(tiny_service, start + b"x" * size + end + rest)
            assert response[8:13] in statuses


def test_login_page_in_browser(browser: Browser, token_service: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{token_service}/")
    page.get_by_label("This service requires a token:").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_have_text("Wrong token.")
    page.goto("about:blank")
    page.goto(f"{token_service}/#token={TOKEN}")
    expect(page.get_by_role("heading", name="tiny")).to_be_visible()
    assert TOKEN not in page.url
    page.set_input_files("#files", built_in("esc10").with_name("esc10.example.ogg"))  # type: ignore[union-attr]
    expect(page.locator("#history .answer:not(.soft)")).to_have_count(1)
    expect(page.locator("#history .answer")).not_to_have_class("answer bad")
    assert page.evaluate(OPEN_STREAM, STREAM) == "ready"
    page.get_by_role("link", name="API").click()
    expect(page.locator(".opblock-summary-path").get_by_text("/predict")).to_be_visible()
    context.close()


def test_login_token_with_punctuation_in_url(browser: Browser) -> None:
    token = "a+b&c=d#e/f?g;100%"
    policy = make_access_policy("127.0.0.1", ["127.0.0.1"], token=token)
    with run_service(Classifier(tiny_model(), threads=1), "tiny", policy=policy) as address:
        for fragment in (quote(token, safe=""), token):
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{address}/#token={fragment}")
            expect(page.get_by_role("heading", name="tiny")).to_be_visible()
            assert "#" not in page.url
            context.close()


OPEN_STREAM = """(path) => new Promise((done) => {
    const address = new URL(path, location.href);
    address.protocol = "ws:";
    const socket = new WebSocket(address);
    socket.onmessage = (message) => { done(JSON.parse(message.data).type); socket.close(); };
    socket.onerror = () => done("refused");
})"""


def test_access_other_origin_in_browser_is_refused(browser: Browser, tiny_service: str, esc10_service: str) -> None:
    """Both services run on this machine; another port is another origin."""
    context = browser.new_context(bypass_csp=True)  # as on the page of an attacker
    page = context.new_page()
    page.goto(f"{esc10_service}/model")
    assert page.evaluate(OPEN_STREAM, "/stream?sample_rate=8000") == "ready"
    assert page.evaluate(OPEN_STREAM, f"{tiny_service}/stream?sample_rate=8000&hop=0.1") == "refused"
    with page.expect_response(f"{tiny_service}/predict") as response:
        page.evaluate(
            "(url) => fetch(url, {method: 'POST', mode: 'no-cors', body: new FormData()})", f"{tiny_service}/predict"
        )
    assert response.value.status == 403
    context.close()


@pytest.mark.parametrize(
    "token", ["", "short", "with a space in it all", "b\u00e4tterie-b\u00e4tterie", "x" * 20 + "\n"]
)
def test_make_access_policy_weak_token_raises(token: str) -> None:
    with pytest.raises(UsageError, match="the token is empty, too short or not printable ASCII; use at least 16"):
        make_access_policy("127.0.0.1", ["127.0.0.1"], token=token)
