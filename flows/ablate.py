"""Flow ``ablate``, deployed as ``ablate-vif`` ... ``ablate-mef``: the rows of the paper's Table 2 as DVC experiments.

A row is a project folder of its own, ``.sigforge/ablate/<task>/<row>``: the files of this one, the row's parameters,
DVC's cache and the ledger shared. ``dvc repro`` runs there, so a second flow redoes only what is stale and a killed one
goes on where it was. Each finished row is kept as an experiment of this project, which ``dvc exp show`` lists.

``dvc exp run --temp`` and ``--queue`` will not do: in their folder a source beside this one does not exist, and
a ``dvc.lock`` that is not committed is not seen, so that every row would begin at ``ingest``.
"""

import argparse
import contextlib
import copy
import json
import operator
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path

import yaml
from prefect import flow, get_run_logger
from prefect import task as prefect_task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows import STATE
from flows.target import Say, TargetFailed, reproduce
from sigforge.core.errors import UserError
from sigforge.dataset.tasks import OURS, TASKS, Task

DATA = Path("data/ablate")
DVC = (sys.executable, "-m", "dvc")
LEDGER = ("mlflow.db", "mlartifacts")


@dataclass(frozen=True)
class AblationRow:
    """One row: the paper's name for it (or ours), a name for folders, and what it changes in params.yaml."""

    name: str
    slug: str
    overrides: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class AblationStart:
    """What all rows start from: the project, its commit, its files as a git tree, DVC's cache, its parameters."""

    root: Path
    head: str
    files: str
    cache: str
    parameters: dict


DEFAULT = AblationRow("Default", "default")
ROWS = (
    AblationRow("w/o-all SM", "no-sm", {"plgn.sm": "none"}),
    AblationRow("w/o-high SM", "no-high", {"plgn.sm": "no_high"}),
    AblationRow("w/o-low SM", "no-low", {"plgn.sm": "no_low"}),
    AblationRow("w/o-EWT", "no-ewt", {"sigformer.signal": "none"}),
    AblationRow("Trans→CNN", "cnn", {"sigformer.backbone": "cnn"}),
    AblationRow("EWT→DWT", "dwt", {"sigformer.signal": "dwt"}),
    # The text beside the table speaks of the pretext task here: "no PT", then "PT without PLGN".
    AblationRow("w/o-Pretrained", "no-pretext", {"pretext.source": "none"}),
    AblationRow("w/o-PLGN", "natural", {"pretext.source": "natural"}),
    DEFAULT,
    AblationRow("w/o-Eq. 15 (ours)", "no-pretrain", {"sigformer.pretrained": False}),
)


@flow(name="ablate", flow_run_name="ablate-{task}")
def ablate(task: Task) -> None:
    """Measure every row of the paper's ablation table on one task, and write the table with both numbers."""
    table = run_rows(task, lambda row, start: run_row.with_options(task_run_name=row.slug)(task, row, start))
    create_markdown_artifact(table.read_text(), key=f"ablate-{task}", description=f"ablations of {task}")
    refuse_failures(table.parent)


@prefect_task(cache_policy=NO_CACHE, persist_result=False)
def run_row(task: str, row: AblationRow, start: AblationStart) -> dict:
    """One row, its log on the page of the run.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        row: what it changes in params.yaml.
        start: the project as it is now.

    Returns:
        see :func:`measure`.
    """
    return measure(task, row, start, get_run_logger().info)


def run_rows(task: str, run: Callable[[AblationRow, AblationStart], dict], chosen: Sequence[str] | None = None) -> Path:
    """Run the rows, Default first since the others start from what it has made; returns ``table.md``.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        run: row to what :func:`measure` returns.
        chosen: slugs of the rows to run beside Default; all if not said.

    Raises:
        UserError: params.yaml is not valid, or this folder is not in git.
    """
    refuse_unknown(chosen, ROWS)
    start, folder, done = begin(), DATA / task, {}
    simulated = any(source["kind"] == "demo" for source in start.parameters["ingest"][task]["sources"])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [row for row in ROWS if row is not DEFAULT and (chosen is None or row.slug in chosen)]
    for row in (DEFAULT, *wanted):
        done[row.slug] = run(row, start)
        rows = [done[one.slug] for one in ROWS if one.slug in done]
        temporary = folder / ".rows.json.tmp"
        temporary.write_text(json.dumps({"task": task, "simulated": simulated, "rows": rows}, indent=1))
        temporary.replace(folder / "rows.json")
    call(sys.executable, "-m", "sigforge.evaluation.ablation", str(folder))
    return folder / "table.md"


def refuse_unknown(chosen: Sequence[str] | None, rows: Sequence[AblationRow]) -> None:
    """Stop at a row that does not exist.

    Raises:
        UserError: names it and those that do.
    """
    known = [row.slug for row in rows]
    if unknown := sorted(set(chosen or ()) - set(known)):
        raise UserError(f"--rows {unknown[0]}: no such row: choose from {', '.join(known)}")


def begin() -> AblationStart:
    """This project as it is now; edits made while the rows run wait for the next flow."""
    try:
        call(sys.executable, "-m", "sigforge.config", "check")
        head = call("git", "rev-parse", "HEAD")
        with tempfile.TemporaryDirectory() as folder:
            index = os.environ | {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            call("git", "read-tree", "HEAD", env=index)
            call("git", "add", "--all", env=index)
            files = call("git", "write-tree", env=index)
        cache = call(*DVC, "cache", "dir")
    except TargetFailed as error:
        raise UserError(f"{error}; ablations need a valid params.yaml and a git repository with a commit") from None
    return AblationStart(Path.cwd(), head, files, cache, yaml.safe_load(Path("params.yaml").read_text()))


def measure(task: str, row: AblationRow, start: AblationStart, say: Say) -> dict:
    """Bring one row up to date; what went wrong is part of the answer, so that the other rows go on.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        row: what it changes in params.yaml.
        start: the project as it is now.
        say: takes one line of log.

    Returns:
        name, changes, experiment, test pairs, means by metric, error (empty if there is none) and seconds.
    """
    began, target, experiment = time.monotonic(), f"evaluate@{task}", f"ablate-{task}-{row.slug}"
    folder = STATE.resolve() / "ablate" / task / row.slug
    facts = {"row": row.name, "overrides": dict(row.overrides), "experiment": experiment}
    result = facts | {"pairs": 0, "means": {}, "error": ""}
    say(f"{row.name}: {folder}")
    try:
        prepare(folder, row, start, target)
        with contextlib.chdir(folder):
            reproduce(target, say)
        summary = json.loads((folder / "data/evaluate" / task / "summary.json").read_text())
        save(folder, experiment, target, start)
        result |= {"pairs": summary["pairs"], "means": summary["methods"][OURS]}
    except TargetFailed as error:
        say(f"{row.name} failed: {error}")
        result["error"] = str(error).replace("(all of it: ", f"(all of it: {folder}/")
    return result | {"seconds": round(time.monotonic() - began, 1)}


def prepare(folder: Path, row: AblationRow, start: AblationStart, target: str) -> None:
    """The row's project folder with this one's files; what its stages have made stays.

    Args:
        folder: of the row; made if it is not there.
        row: what it changes in params.yaml.
        start: the project as it is now.
        target: stage whose outputs are fetched from the cache, if they are there.

    Raises:
        TargetFailed: git or dvc failed.
    """
    fresh = not (folder / ".git").exists()
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
        call("git", "clone", "--quiet", "--shared", "--no-checkout", str(start.root), str(folder))
    lock, first = folder / "dvc.lock", folder.parent / DEFAULT.slug / "dvc.lock"
    known = next((path.read_bytes() for path in (lock, first) if path.exists()), None)
    call("git", "update-ref", "--no-deref", "HEAD", start.head, cwd=folder)
    call("git", "read-tree", "--reset", "-u", start.files, cwd=folder)
    if known is not None:
        lock.write_bytes(known)
    (folder / "params.yaml").write_text(yaml.safe_dump(changed(start.parameters, row.overrides), sort_keys=False))
    connect(folder, start)
    if fresh and lock.exists():
        # What is not in the cache is made again, so whether this succeeds does not matter.
        checkout = (*DVC, "checkout", "--quiet", "--force", "--with-deps", target)
        subprocess.run(checkout, cwd=folder, capture_output=True)


def changed(parameters: dict, overrides: Mapping[str, object]) -> dict:
    """Parameters with other values under dotted keys.

    Example:
        >>> changed({"plgn": {"sm": "all", "steps": 3}}, {"plgn.sm": "none"})
        {'plgn': {'sm': 'none', 'steps': 3}}
    """
    tree = copy.deepcopy(parameters)
    for key, value in overrides.items():
        *path, last = key.split(".")
        reduce(operator.getitem, path, tree)[last] = value
    return tree


def connect(folder: Path, start: AblationStart) -> None:
    """Share DVC's cache and the ledger, and make the paths that lead out of the project lead to the same places."""
    (folder / ".dvc/config.local").write_text(f"[cache]\n    dir = {start.cache}\n")
    for path in (*LEDGER, *sorted(set(outside(start.parameters["ingest"])))):
        link = Path(os.path.normpath(folder / path))
        if not link.exists() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((start.root / path).resolve())


def outside(tree: object) -> Iterator[str]:
    """Every path in a section that leads out of the project."""
    if isinstance(tree, dict | list):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from outside(value)
    elif isinstance(tree, str) and tree.startswith("../"):
        yield tree


def save(folder: Path, experiment: str, target: str, start: AblationStart) -> None:
    """Keep a row as an experiment of this project.

    Args:
        folder: of the row.
        experiment: its name.
        target: the stage that it ran.
        start: the project as it was when the row began.

    Raises:
        TargetFailed: git or dvc failed.
    """
    call(*DVC, "exp", "save", "--quiet", "--force", "--name", experiment, target, cwd=folder)
    reference = f"refs/exps/{start.head[:2]}/{start.head[2:]}/{experiment}"
    call("git", "fetch", "--quiet", str(folder), f"+{reference}:{reference}")


def call(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command; returns what it printed.

    Args:
        *command: program and arguments; no shell.
        cwd: folder it runs in.
        env: its whole environment; that of this process if left out.

    Raises:
        TargetFailed: it failed; the message is its last line.
    """
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word of why"]
        raise TargetFailed(f"'{' '.join(command[:4])} ...' failed: {said[-1]}")
    return done.stdout.strip()


def refuse_failures(folder: Path) -> None:
    """Raise if a row failed: the table says which, and a run that hides it would look finished.

    Raises:
        TargetFailed: names the rows.
    """
    rows = json.loads((folder / "rows.json").read_text())["rows"]
    if failed := [row["row"] for row in rows if row["error"]]:
        raise TargetFailed(f"{len(failed)} of {len(rows)} rows failed ({', '.join(failed)}); see {folder / 'table.md'}")


def main(arguments: list[str] | None = None) -> int:
    """The same without Prefect: ``--task vif``; exit code 2 on a user's mistake, 1 if a row failed."""
    parser = argparse.ArgumentParser(prog="python -m flows.ablate", description=ablate.__doc__)
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--rows", nargs="+", metavar="ROW", help=f"of {', '.join(row.slug for row in ROWS)}")
    options = parser.parse_args(arguments)
    task, say = options.task, partial(print, flush=True)
    try:
        table = run_rows(task, lambda row, start: measure(task, row, start, say), options.rows)
        print(table)
        refuse_failures(table.parent)
    except (UserError, TargetFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
