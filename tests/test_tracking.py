"""The ledger on a real SQLite store, made in the first place by two processes that start at once."""

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sigforge import tracking
from sigforge.core.errors import UserError
from sigforge.stages import _base as base
from sigforge.training.loop import HistoryRow

ROOT = Path(__file__).parents[1]
PARAMETERS = {f"fuse.vif.method{index}": index for index in range(120)} | {"seed": 1, "long": "x" * 900}
PARAMS = (ROOT / "params.yaml").read_text()

WRITES = """
from pathlib import Path
from sigforge import tracking
from sigforge.training.loop import HistoryRow
with tracking.stage_run("fuse", "vif", PARAMETERS) as run:
    run.value("pairs", 8)
    run.metrics([HistoryRow(step, "loss", 1 / (step + 1)) for step in range(600)])
    run.file(Path("table.md"), "tables")
    run.dataset("vif pairs", Path("table.md"))
"""
FAILS_THEN_DIES = """
import os, signal, sqlite3, time
from sigforge import tracking
from sigforge.core.errors import UserError
try:
    with tracking.stage_run("plgn", "vif", {}) as run:
        run.value("loss", 3.0)
        raise UserError("images: bad")
except UserError:
    pass
with tracking.stage_run("synth", "vif", {}) as run:
    while not sqlite3.connect("mlflow.db").execute("SELECT 1 FROM runs WHERE status = 'RUNNING' AND name = 'synth@vif'").fetchone():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def on():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(tracking.SWITCH, raising=False)
        patch.delenv(tracking.PARENT, raising=False)
        yield


@pytest.fixture(scope="module")
def store(on, tmp_path_factory):
    """A project in git whose ledger two processes began together; what they said."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "table.md").write_text("| a table |\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "params.yaml")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "x")
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'components'}{os.pathsep}{ROOT}"}
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
        for code in (f"PARAMETERS = {PARAMETERS!r}\n{WRITES}", FAILS_THEN_DIES)
    ]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, -9], said
    return folder, said


@pytest.fixture
def ledger(store):
    """The store's project as the current folder, and its runs by name."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{store[0] / 'mlflow.db'}")

    def named(name):
        experiment = client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id
        return client.search_runs([experiment], f"attributes.run_name = '{name}'", order_by=["attributes.start_time"])

    with contextlib.chdir(store[0]):
        named.client = client
        yield named


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_two_first_users_at_once_say_nothing_and_break_nothing(store, ledger):
    assert store[1] == ["", ""]
    assert [run.info.status for run in ledger("fuse@vif")] == ["FINISHED"]


def test_one_parent_per_commit_and_parameters(store, ledger):
    head = git(store[0], "rev-parse", "--short=12", "HEAD").strip()
    key = f"{head}-{hashlib.sha256(PARAMS.encode()).hexdigest()[:12]}"
    (parent,) = ledger(f"reproduce {key}")
    assert parent.info.status == "FINISHED" and parent.data.tags["reproduce"] == key == tracking.reproduce_id()
    children = [run for name in ("fuse@vif", "plgn@vif", "synth@vif") for run in ledger(name)]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert [item.path for item in ledger.client.list_artifacts(parent.info.run_id)] == ["params.yaml"]


def test_a_child_holds_parameters_metrics_files_and_datasets(store, ledger):
    (run,) = ledger("fuse@vif")
    assert run.data.params == {key: str(value)[:500] for key, value in PARAMETERS.items()}
    assert (run.data.tags["stage"], run.data.tags["task"]) == ("fuse", "vif")
    assert run.data.metrics["pairs"] == 8
    history = ledger.client.get_metric_history(run.info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(step, 1 / (step + 1)) for step in range(600)]
    (kept,) = (store[0] / "mlartifacts").glob(f"**/{run.info.run_id}/artifacts/tables/table.md")
    assert kept.read_text() == "| a table |\n"
    (dataset,) = [entry.dataset for entry in run.inputs.dataset_inputs]
    assert (dataset.name, dataset.digest) == ("vif pairs", hashlib.sha256(b"| a table |\n").hexdigest()[:32])


def test_a_stage_that_raised_is_failed_with_what_it_knew(ledger):
    (run,) = ledger("plgn@vif")
    assert run.info.status == "FAILED" and run.data.metrics == {"loss": 3.0}


def test_a_killed_run_is_swept_by_the_next_of_its_stage(ledger):
    (run,) = ledger("synth@vif")
    assert run.info.status == "RUNNING", "nothing could write it down"
    with tracking.stage_run("synth", "mif", {}):
        pass
    assert ledger("synth@vif")[0].info.status == "RUNNING", "another task's business"
    with tracking.stage_run("synth", "vif", {}):
        pass
    assert [run.info.status for run in ledger("synth@vif")] == ["KILLED", "FINISHED"]


def test_a_living_run_is_not_swept(ledger):
    with tracking.stage_run("pretext", "vif", {}):
        until(lambda: [run.info.status for run in ledger("pretext@vif")] == ["RUNNING"])
        with tracking.stage_run("pretext", "vif", {}):
            pass
        assert sorted(run.info.status for run in ledger("pretext@vif")) == ["FINISHED", "RUNNING"]
    assert [run.info.status for run in ledger("pretext@vif")] == ["FINISHED", "FINISHED"]


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_number_used_again_is_not_the_run():
    now = int(time.time() * 1000)
    assert tracking._alive(str(os.getpid()), now)
    assert not tracking._alive(str(os.getpid()), now - 10**9), "this process is younger than that run"
    assert not tracking._alive("", now) and not tracking._alive(str(2**22 + 1), now)


def test_the_command_line_of_a_stage_is_recorded(ledger, monkeypatch, capsys):
    def run(context):
        raise UserError("images: none; give some")

    monkeypatch.setattr(sys, "argv", ["stage", "--task", "mif"])
    assert base.main("fuse", run, sections=("fuse", "compute.threads")) == 2
    assert capsys.readouterr().err == "error: fuse@mif: images: none; give some\n"
    (recorded,) = ledger("fuse@mif")
    assert recorded.info.status == "FAILED"
    assert {"seed", "fuse.mif.mean", "compute.threads"} <= recorded.data.params.keys()
    assert not any(key.startswith(("plgn", "compute.workers")) for key in recorded.data.params)


def test_other_parameters_are_another_reproduce_and_dvc_lock_is_not(store, ledger):
    before = tracking.reproduce_id()
    folder = store[0]
    (folder / "dvc.lock").write_text("1")
    git(folder, "add", "dvc.lock")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "y")
    clean = tracking.reproduce_id()
    assert clean != before and "+" not in clean
    (folder / "dvc.lock").write_text("2")
    assert tracking.reproduce_id() == clean, "dvc writes it between two stages of one reproduce"
    (folder / "params.yaml").write_text(PARAMS.replace("seed: 2026", "seed: 2027"))
    commit, _, params = tracking.reproduce_id().partition("-")
    assert commit == f"{clean.partition('-')[0]}+" and params != clean.partition("-")[2]
    with tracking.stage_run("fuse", "mef", {}):
        pass
    (child,), (parent,) = ledger("fuse@mef"), ledger(f"reproduce {commit}-{params}")
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    (folder / "params.yaml").write_text(PARAMS)


def test_a_parent_given_from_outside_is_taken(ledger, monkeypatch):
    parent = ledger("fuse@vif")[0].info.run_id
    monkeypatch.setenv(tracking.PARENT, parent)
    with tracking.stage_run("evaluate", "vif", {}):
        pass
    assert ledger("evaluate@vif")[0].data.tags["mlflow.parentRunId"] == parent


def test_outside_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert tracking.reproduce_id() == "unknown-none"


def test_off_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(tracking.SWITCH, "off")
    with tracking.stage_run("fuse", "vif", {"a": 1}) as run:
        run.metrics([HistoryRow(0, "loss", 1.0)])
    assert list(tmp_path.iterdir()) == []


def break_database(folder):
    (folder / "mlflow.db").write_text("this is no database\n" * 100)


def hide_database(folder):
    (folder / "mlflow.db").mkdir()


def foreign_database(folder):
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.execute("CREATE TABLE runs (mine INTEGER)")


@pytest.mark.parametrize("harm", [break_database, hide_database, foreign_database])
def test_a_broken_store_costs_a_warning_and_nothing_else(on, tmp_path, monkeypatch, capsys, harm):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    harm(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage", "--task", "vif"])
    started = time.monotonic()
    assert base.main("fuse", lambda context: context.ledger.value("pairs", 1), sections=("fuse",)) == 0
    assert time.monotonic() - started < 20
    said = capsys.readouterr().err
    assert said.startswith("warning: the MLflow ledger mlflow.db could not be written (") and said.count("\n") == 1


def test_a_folder_may_be_called_anything(on, tmp_path, monkeypatch):
    name = "feature%2Fx a?b#c &= d"
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    Path("params.yaml").write_text(PARAMS)
    started = time.monotonic()
    with tracking.stage_run("ingest", "vif", {"fuse.vif.run [ours]": 1}) as run:
        run.value("seconds_per_pair_run [ours]", 3)
        run.file(Path("params.yaml"), "tables")
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
        assert database.execute("SELECT status FROM runs WHERE name = 'ingest@vif'").fetchall() == [("FINISHED",)]
        assert database.execute("SELECT value FROM metrics").fetchall() == [(3.0,)]
    assert list(Path("mlartifacts").rglob("tables/params.yaml"))
    assert [path.name for path in tmp_path.iterdir()] == [name] and time.monotonic() - started < 100
