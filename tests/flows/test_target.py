"""Running a DVC target: what happens when somebody kills, interrupts or competes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prefect.states import Failed

from flows.target import TargetBusy, TargetFailed, cause, is_busy, reproduce

# What a shell starts in the background ignores SIGINT, and so would its children.
RUN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from flows.target import reproduce; reproduce(sys.argv[1], print)"
)


def start(target):
    """Reproduce in another process; returns it and its stage once that runs."""
    runner = subprocess.Popen([sys.executable, "-c", RUN, target], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    pid = Path(f"fuse-{target.partition('@')[2]}.pid")
    for _ in range(600):
        if pid.exists() and pid.read_text().strip():
            return runner, psutil.Process(int(pid.read_text()))
        time.sleep(0.05)
    runner.kill()
    raise AssertionError("the stage did not start")


def test_streams_lines_while_the_target_runs(project):
    said = []
    reproduce("fuse@mif", lambda line: said.append((line, time.monotonic())))
    moments = dict(said)
    assert said[-1][1] - moments["fusing mif"] > 2
    assert "fusing mif" in Path(".sigforge/logs/fuse@mif.log").read_text()


def test_killed_run_leaves_dvc_to_commit_and_the_next_one_waits(project):
    runner, _ = start("fuse@mif")
    runner.kill()
    runner.wait()
    said = []
    reproduce("fuse@mif", said.append)
    assert said[0] == "fuse@mif is being made by another run; waiting for it"
    assert any("didn't change" in line for line in said) and "fusing mif" not in said


def test_interrupted_run_ends_its_stage(project):
    runner, stage = start("fuse@vif")
    runner.send_signal(signal.SIGINT)
    assert runner.wait(60) != 0
    stage.wait(5)
    assert not stage.is_running() and not Path("data/fuse/vif").exists()


def test_stage_gets_the_venv_and_no_run_of_prefects(project, monkeypatch):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "x")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    Path("synth.sh").write_text('echo "$PATH|$PREFECT__FLOW_RUN_ID|$DVC_NO_ANALYTICS"; mkdir -p data/synth/$1')
    said = []
    reproduce("synth@vif", said.append)
    assert f"{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin||1" in said


def test_unknown_target_and_missing_project(project, tmp_path_factory, monkeypatch):
    with pytest.raises(TargetFailed, match="ERROR: .*nonsense"):
        reproduce("nonsense@vif", print)
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    with pytest.raises(TargetFailed, match="not inside of a DVC repository"):
        reproduce("synth@vif", print)


def test_cause_prefers_the_last_line_of_a_stage():
    log = "error: a: first\nRunning\r\n  error: b: second\nTraceback\nERROR: failed to reproduce 'b'\nnote\n"
    assert cause(log) == "error: b: second"
    assert cause("ValueError: x\nERROR: failed to reproduce 'b'\n\n") == "ERROR: failed to reproduce 'b'"
    assert cause("'./dvc.yaml' is invalid.\n\nWhile parsing\n") == "'./dvc.yaml' is invalid."
    assert cause("\n") == "dvc failed without a word"


@pytest.mark.parametrize(("error", "again"), [(TargetBusy("x"), True), (TargetFailed("x"), False), (OSError(), False)])
def test_only_busy_targets_are_retried(error, again):
    assert is_busy(None, None, Failed(data=error)) is again
