"""The flows, run on a real Prefect server over a throw-away DVC project."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from prefect import flow
from prefect.artifacts import Artifact
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

from flows.reproduce import reproduce
from flows.server import serve
from flows.synth import synth
from flows.target import TargetFailed, run_target
from sigforge.dataset.tasks import TASKS

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def log_of(client, state, until):
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    for _ in range(100):
        lines = [entry.message for entry in client.read_logs(chosen, limit=200)]
        if any(until in line for line in lines):
            return lines
        time.sleep(0.1)
    raise AssertionError(f"{until!r} not among {lines}")


def test_synth_runs_its_target_with_what_it_needs_and_logs_it(server, project):
    state = synth("vif", return_state=True)
    assert state.is_completed(), state
    assert (project / "data/synth/vif").is_dir() and not (project / "data/synth/mif").exists()
    lines = log_of(server, state, "shards of vif")
    assert lines.index("modulators of vif") < lines.index("shards of vif")
    assert "3 pairs in 1 shards, 2.0 MB" in Artifact.get("synth-vif").data

    again = synth("vif", return_state=True)
    assert again.is_completed()
    lines = log_of(server, again, "up to date")
    assert "Stage 'synth@vif' didn't change, skipping" in lines and "shards of vif" not in lines


def test_failing_stage_fails_the_flow_with_its_own_line(server, project):
    state = synth("mfif", return_state=True)
    assert state.is_failed()
    with pytest.raises(TargetFailed, match="^error: synth@mfif: no photographs .*synth@mfif.log"):
        state.result()
    assert server.read_flow_run(state.state_details.flow_run_id).run_count == 1


def test_unknown_task_is_refused_before_anything_runs(server, project):
    with pytest.raises(Exception, match="'vif', 'mif', 'mfif' or 'mef'"):
        synth("xray")
    assert not (project / "data").exists()


def test_a_busy_target_is_tried_again(server, project):
    @flow
    def impatient():
        run_target.with_options(retry_delay_seconds=1)("report")

    by_hand = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "fuse@mif"], stdout=subprocess.DEVNULL)
    while not Path("fuse-mif.pid").exists():
        time.sleep(0.05)
    state = impatient(return_state=True)
    assert by_hand.wait() == 0 and state.is_completed(), state
    log_of(server, state, "is busy, it is being blocked by")
    assert (project / "report").exists()


def test_deployments_cover_every_task_and_flow():
    names = {f"{one.flow_name}/{one.name}": one for one in serve.deployments()}
    tasks = ("vif", "mif", "mfif", "mef")
    expected = {
        f"{flow}/{flow}-{task}"
        for flow in ("synth", "fuse", "train", "evaluate", "publish", "ablate")
        for task in tasks
    }
    assert set(names) == expected | {"reproduce/reproduce"}
    assert names["train/train-mef"].parameters == {"task": "mef"}
    assert all(one.concurrency_limit == 1 for one in names.values())
    assert {one.concurrency_options.collision_strategy for one in names.values()} == {"ENQUEUE"}


def tasks_of(entry):
    """The tasks that a stage of dvc.yaml has a target for; ``foreach`` goes over a section that has one key a task."""
    return ["mif"] if "foreach" in entry else entry.get("matrix", {"task": [""]})["task"]


@pytest.mark.parametrize("one", [*serve.PER_TASK, reproduce], ids=lambda one: one.name)
def test_targets_of_a_flow_stand_in_dvc_yaml(one, monkeypatch):
    ran = []
    monkeypatch.setitem(one.fn.__globals__, "run_target", ran.append)
    one.fn(*([] if one is reproduce else ["mif"]))
    assert ran
    for target in ran:
        stage, _, task = target.partition("@")
        assert stage in STAGES and task in tasks_of(STAGES[stage])


def test_tasks_are_those_of_dvc_yaml():
    assert list(TASKS) == STAGES["synth"]["matrix"]["task"]


@pytest.mark.parametrize("path", sorted((ROOT / "flows").rglob("*.py")), ids=lambda path: path.stem)
def test_flows_import_no_computation(path):
    """A flow that imported a stage could pass it something DVC does not see."""
    allowed = {"sigforge.core.errors", "sigforge.core.escape", "sigforge.dataset.tasks", "sigforge.tracking"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = node.module == "sigforge"
            found = {f"sigforge.{alias.name}" if inside else node.module for alias in node.names}
        else:
            continue
        assert {name for name in found if name.split(".")[0] == "sigforge"} <= allowed
