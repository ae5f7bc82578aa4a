"""The ledger: one parent MLflow run per reproduce, one child run per stage, in ``sqlite:///mlflow.db``.

The only importer of mlflow; stages alone call it. Import and database cost seconds, so the ledger opens on a thread
while the stage computes. ``SIGFORGE_TRACKING=off`` turns it off; a ledger that cannot be written stops nothing.
"""

import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sigforge.core.escape import escape_mlflow
from sigforge.core.files import sha256_file
from sigforge.core.storage import Place
from sigforge.training.loop import HistoryRow

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "sigforge"
DATABASE, ARTIFACTS, LOCK = Path("mlflow.db"), Path("mlartifacts"), Path(".sigforge/mlflow.lock")
PARENT, SWITCH = "SIGFORGE_PARENT_RUN", "SIGFORGE_TRACKING"
BATCH = 500

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # read when mlflow is imported


class StageRun:
    """What a stage can say to the ledger; calls return at once and are written when the stage ends."""

    def __init__(self) -> None:
        self.rows: list[HistoryRow] = []
        self.files: list[tuple[Path, str]] = []
        self.datasets: list[tuple[str, Place]] = []

    def metrics(self, rows: Sequence[HistoryRow]) -> None:
        """Log values with their steps, in batches."""
        self.rows += rows

    def value(self, name: str, value: float) -> None:
        """Log one number."""
        self.rows.append(HistoryRow(0, name, float(value)))

    def file(self, path: Path, folder: str) -> None:
        """Keep a copy of a file: ``folder`` is ``figures``, ``tables`` or ``models``."""
        self.files.append((path, folder))

    def dataset(self, name: str, path: Place) -> None:
        """Record an input by the sha256 of the file that lists or holds it."""
        self.datasets.append((name, path))


@contextmanager
def stage_run(stage: str, task: str | None, parameters: dict[str, object]) -> Iterator[StageRun]:
    """A child run around one stage; FAILED if the stage raises.

    Args:
        stage: its name.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``; None for a stage without one.
        parameters: what is logged of params.yaml.
    """
    run = StageRun()
    if os.environ.get(SWITCH) == "off":
        yield run
        return
    with ThreadPoolExecutor(1) as pool:
        started = int(time.time() * 1000)
        opened = pool.submit(_open, stage, task, parameters, started)
        try:
            yield run
        except BaseException:
            _close(opened, run, "FAILED")
            raise
        _close(opened, run, "FINISHED")


def ensure_store() -> str:
    """Create database and experiment once, under a lock: several first users at once would break each other.

    Returns:
        the experiment's number.
    """
    with _locked():
        return _client()[1]


def database_uri() -> str:
    """The ledger's address.

    In an address ``%2F`` and ``?`` mean other things than in a folder's name, and escaped MLflow would make a folder of
    that spelling; so there the address starts from the working folder.
    """
    path = str(DATABASE.resolve())
    return f"sqlite:///{DATABASE}" if set("%?") & set(path) else f"sqlite:///{path}"


def reproduce_id() -> str:
    """What makes two reproduces the same: the commit and the parameters."""
    return f"{commit()}-{params_hash()}"


def commit() -> str:
    """Short hash of the checked-out commit, with ``+`` if tracked files differ; ``unknown`` outside git.

    ``dvc.lock`` does not count: dvc rewrites it between the stages of one reproduce.
    """
    head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    status = ["git", "status", "--porcelain", "-uno", ".", ":!dvc.lock"]
    changed = subprocess.run(status, capture_output=True, text=True).stdout.strip()
    return head.stdout.strip() + ("+" if changed else "") if head.returncode == 0 else "unknown"


def params_hash(path: Path = Path("params.yaml")) -> str:
    """First 12 digits of the sha256 of params.yaml."""
    return sha256_file(path)[:12] if path.exists() else "none"


def _open(stage: str, task: str | None, parameters: dict[str, object], started: int) -> tuple["MlflowClient", str]:
    with _locked():
        client, experiment = _client()
        parent = os.environ.get(PARENT) or _parent(client, experiment)
        _sweep(client, experiment, stage, task)
    name = f"{stage}@{task}" if task else stage
    tags = {
        "mlflow.parentRunId": parent,
        "mlflow.runName": name,
        "stage": stage,
        "task": task or "",
        "commit": commit(),
    }
    tags["pid"] = str(os.getpid())
    run = client.create_run(experiment, start_time=started, tags=tags)
    _log_parameters(client, run.info.run_id, parameters)
    return client, run.info.run_id


def _close(opened: Future, run: StageRun, status: str) -> None:
    try:
        client, run_id = opened.result()
        _write(client, run_id, run)
        client.set_terminated(run_id, status)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        print(f"warning: the MLflow ledger {DATABASE} could not be written ({reason})", file=sys.stderr)


def _write(client: "MlflowClient", run_id: str, run: StageRun) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric

    now = int(time.time() * 1000)
    entries = [Metric(escape_mlflow(row.name), row.value, now, row.step) for row in run.rows]
    for start in range(0, len(entries), BATCH):
        client.log_batch(run_id, metrics=entries[start : start + BATCH])
    inputs = [
        DatasetInput(Dataset(name, sha256_file(str(path))[:32], "local", str(path))) for name, path in run.datasets
    ]
    if inputs:
        client.log_inputs(run_id, inputs)
    for path, folder in run.files:
        client.log_artifact(run_id, str(path), folder)


def _log_parameters(client: "MlflowClient", run_id: str, parameters: dict[str, object]) -> None:
    from mlflow.entities import Param

    # MLflow cuts longer values silently; the whole file is kept as an artifact of the parent.
    entries = [Param(escape_mlflow(key), str(value)[:500]) for key, value in sorted(parameters.items())]
    client.log_batch(run_id, params=entries)


def _client() -> tuple["MlflowClient", str]:
    with closing(sqlite3.connect(DATABASE)) as probe:
        probe.execute("PRAGMA schema_version")  # fails at once where MLflow would try for 100 seconds
    warnings.filterwarnings("ignore", module="mlflow")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=database_uri())
    found = client.get_experiment_by_name(EXPERIMENT)
    identifier = found.experiment_id if found else client.create_experiment(EXPERIMENT, ARTIFACTS.resolve().as_uri())
    return client, identifier


def _parent(client: "MlflowClient", experiment: str) -> str:
    """The run of this commit and these parameters, made if it is the first."""
    key = reproduce_id()
    found = client.search_runs([experiment], f"tags.reproduce = '{key}'", max_results=1)
    if found:
        return found[0].info.run_id
    tags = {"mlflow.runName": f"reproduce {key}", "reproduce": key, "commit": commit(), "params": params_hash()}
    run = client.create_run(experiment, tags=tags)
    if Path("params.yaml").exists():
        client.log_artifact(run.info.run_id, "params.yaml")
    client.set_terminated(run.info.run_id)
    return run.info.run_id


def _sweep(client: "MlflowClient", experiment: str, stage: str, task: str | None) -> None:
    """Mark runs of this stage whose process is gone as KILLED."""
    query = f"attributes.status = 'RUNNING' and tags.stage = '{stage}' and tags.task = '{task or ''}'"
    for run in client.search_runs([experiment], query):
        if not _alive(run.data.tags.get("pid", ""), run.info.start_time):
            client.set_terminated(run.info.run_id, "KILLED")


def _alive(pid: str, since: int) -> bool:
    """Whether the process that began a run at ``since`` (ms) still lives; a younger one only inherited its number."""
    try:
        return psutil.Process(int(pid)).create_time() * 1000 <= since
    except (ValueError, psutil.NoSuchProcess):
        return False


@contextmanager
def _locked() -> Iterator[None]:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file, _thread_lock:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


_thread_lock = threading.Lock()
