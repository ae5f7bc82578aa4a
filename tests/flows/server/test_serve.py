"""'make serve' as a person uses it: a process of its own, Prefect's command line beside it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prefect.settings import PREFECT_API_URL
from prefect.states import Running

from flows.server import services
from flows.server.serve import main, sweep
from flows.synth import synth

PREFECT = Path(sys.executable).with_name("prefect")


@pytest.fixture
def environment(server, home):
    return os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value(), "PREFECT_HOME": str(home)}


@pytest.fixture
def serving(project, environment):
    with open("serve.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server.serve"], stdout=log, stderr=log, env=environment
        )
    try:
        wait_for(lambda: "run one:" in Path("serve.log").read_text())
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for(done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, Path("serve.log").read_text()
        time.sleep(0.1)


def run(name, environment, *options):
    command = [PREFECT, "deployment", "run", name, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)


def test_bare_name_runs_and_sigterm_leaves_nothing_behind(serving, environment):
    watched = run("synth-vif", environment, "--watch")
    assert watched.returncode == 0 and "finished successfully" in watched.stdout, watched
    assert Path("data/synth/vif").is_dir()
    refused = run("synth-xray", environment)
    assert refused.returncode == 1 and "Expected format: <FLOW_NAME>/<DEPLOYMENT_NAME>" in refused.stderr

    assert run("fuse-vif", environment).returncode == 0
    wait_for(lambda: Path("fuse-vif.pid").exists() and Path("fuse-vif.pid").read_text().strip())
    family = psutil.Process(serving.pid).children(recursive=True)
    assert int(Path("fuse-vif.pid").read_text()) in [one.pid for one in family]
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(40) == 0
    assert not [one for one in family if one.is_running()]
    text = Path("serve.log").read_text()
    assert text.endswith("stopped\n") and "Traceback" not in text
    assert services.running("serve") is None and not Path(".sigforge/serve.pid").exists()


def test_second_serve_in_one_folder_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    services.remember("serve", os.getppid())
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        assert main() == 2
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
            signal.signal(number, handler)
    assert "serves already; 'make stop' ends it" in capsys.readouterr().err


def test_sweep_crashes_runs_without_a_process_and_no_other(server):
    deployment = synth.to_deployment("swept", parameters={"task": "vif"}).apply()
    lost, alive, waiting = (server.create_flow_run_from_deployment(deployment).id for _ in range(3))
    for one in (lost, alive):
        server.set_flow_run_state(one, Running(), force=True)
    engine = subprocess.Popen(["sleep", "60"], env=os.environ | {"PREFECT__FLOW_RUN_ID": str(alive)})
    try:
        assert sweep([deployment]) == [lost]
    finally:
        engine.kill()
        engine.wait()
    states = [server.read_flow_run(one).state.name for one in (lost, alive, waiting)]
    assert states == ["Crashed", "Running", "Scheduled"]
