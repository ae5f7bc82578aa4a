"""A hostile page in a real browser, beside a real Prefect server as 'make serve' and 'make ui' start it."""

import json
import shutil
import socket
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.server import services
from flows.server.guard import OwnPageOnly, own_origins
from flows.synth import synth

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ATTACK = """
async ([api, id]) => {
  const step = {pull_steps: [{"prefect.deployments.steps.run_shell_script": {script: "touch /tmp/owned"}}]};
  const tries = {
    read: () => fetch(api + "/deployments/filter", {method: "POST", body: "{}"}).then(r => r.text()),
    change: () => fetch(api + "/deployments/" + id, {method: "PATCH", body: JSON.stringify(step),
                        headers: {"content-type": "application/json"}}).then(r => r.status),
    run: () => fetch(api + "/deployments/" + id + "/create_flow_run", {method: "POST", mode: "no-cors",
                     headers: {"content-type": "text/plain"}, body: '{"state":{"type":"SCHEDULED"}}'}).then(r => r.type),
    token: () => fetch(api + "/csrf-token?client=x").then(r => r.text()),
    socket: () => new Promise((done, failed) => {
      const s = new WebSocket(api.replace("http", "ws") + "/events/in");
      s.onopen = () => done("open"); s.onerror = () => failed("closed");
    }),
  };
  const got = {};
  for (const name in tries) { try { got[name] = await tries[name](); } catch (e) { got[name] = "refused"; } }
  return got;
}
"""


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def page():
    """A page of somebody else's on another port of this machine."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>cats</html>")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def guarded(tmp_path, monkeypatch, port):
    """The server's API, and the id of a deployment on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    api = f"http://127.0.0.1:{port}/api"
    with temporary_settings({PREFECT_API_URL: api, PREFECT_HOME: tmp_path / "home"}):
        services.start([services.prefect_server()])
        try:
            with get_client(sync_client=True) as client:
                yield api, client, synth.to_deployment("synth-vif", parameters={"task": "vif"}).apply()
        finally:
            services.stop("prefect")


def status(url, **headers):
    """Of a request as a program sends it, with headers that only a browser or an attacker would send."""
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH")
@pytest.mark.timeout(300)
def test_a_hostile_page_reads_and_changes_nothing_and_our_own_page_works(guarded, page):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    api, client, deployment = guarded
    before = client.read_deployment(deployment)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.goto(page)
        got = tab.evaluate(ATTACK, [api, str(deployment)])
        with tab.expect_response(lambda answer: answer.request.method == "POST", timeout=60_000) as first:
            tab.goto(api.removesuffix("/api") + "/dashboard")
        shown = first.value.status
        own = (
            tab.evaluate("api => fetch(api + '/flows/count', {method: 'POST'}).then(r => r.status)", api),
            tab.evaluate("api => fetch(api + '/health').then(r => r.status)", api),
        )
        browser.close()
    assert shown == 200  # of what the dashboard itself asks for, token and all
    assert got.pop("run") in ("opaque", "refused")  # sent, and what it did is asked for below
    assert set(got.values()) == {"refused"}
    assert client.read_deployment(deployment).pull_steps == before.pull_steps
    assert client.read_flow_runs() == []
    assert own == (403, 200)  # no token in this request: our page sends one, and is answered
    origin = api.removesuffix("/api")
    assert status(f"{api}/health", Host="evil.example", Origin=origin) == 403
    assert status(f"{api}/health", Host=f"evil.example:{origin.rpartition(':')[2]}") == 403
    assert status(f"{api}/health", Origin="http://127.0.0.1:1") == status(f"{api}/health", Origin="null") == 403
    assert status(f"{api}/health", Origin=origin) == status(f"{api}/health") == 200


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({b"host": b"127.0.0.1:4200"}, True),
        ({b"host": b"localhost:4200", b"origin": b"http://localhost:4200"}, True),
        ({b"host": b"127.0.0.1:4201"}, False),
        ({b"host": b"rebound.example:4200"}, False),
        ({b"host": b"127.0.0.1:4200", b"origin": b"null"}, False),
        ({b"host": b"127.0.0.1:4200", b"origin": b"https://127.0.0.1:4200"}, False),
        ({}, False),
    ],
)
def test_whose_requests_are_answered(headers, own):
    assert OwnPageOnly(None, host="127.0.0.1", port=4200).is_own(headers) is own


def test_both_pages_allow_their_own_origin_only(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGFORGE_MLFLOW_PORT", "5055")
    settings = services.mlflow_page().env
    assert settings["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == own_origins("http://127.0.0.1:5055")
    assert settings["MLFLOW_SERVER_ALLOWED_HOSTS"] == "127.0.0.1:5055,localhost:5055"
    assert "*" not in json.dumps(settings)
