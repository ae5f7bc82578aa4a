"""What every stage shares: its command line, its folders, its done-marker and its errors."""

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from sigforge import tracking
from sigforge.config.load import leaves, load_params
from sigforge.config.sections import Params
from sigforge.core.errors import UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.files import canonical_json, fingerprint, hash_of, write_atomic
from sigforge.core.parallel import die_with_parent, keep_freed_memory
from sigforge.core.provenance import code_hash
from sigforge.core.storage import Place
from sigforge.dataset.tasks import TASKS, Task

KEY = "KEY"
DATA = Path("data")


@dataclass(frozen=True)
class StageContext:
    """What a stage's ``run`` gets: all parameters, its task (None where it has none) and the ledger."""

    stage: str
    task: Task
    params: Params
    ledger: tracking.StageRun

    def folder(self, stage: str | None = None, task: str | None = None) -> Path:
        """``data/<stage>/<task>``; this stage's own folder by default."""
        own = stage is None or stage == self.stage
        part = task if task is not None else (self.task if own or stage not in SHARED else None)
        return DATA / (stage or self.stage) / (part or "")

    @property
    def module(self) -> str:
        """The module that runs this stage, whose imports are the code of its results."""
        return f"sigforge.stages.{self.stage}"

    @property
    def name(self) -> str:
        """The DVC target: ``synth@vif``, or ``report``."""
        return f"{self.stage}@{self.task}" if self.task else self.stage


SHARED = ("pretrain", "report")

Run = Callable[[StageContext], None]


def main(stage: str, run: Run, *, sections: tuple[str, ...], tasks: tuple[str, ...] = TASKS) -> int:
    """The command line of one stage module: ``--task`` where it has tasks, exit code 2 on a user's mistake.

    Args:
        stage: its name.
        run: what the stage does.
        sections: the dotted keys of params.yaml that the ledger records for this stage.
        tasks: those it can be asked for; empty for a stage without tasks.
    """
    parser = argparse.ArgumentParser(prog=f"python -m sigforge.stages.{stage}", description=run.__doc__)
    if tasks:
        parser.add_argument("--task", required=True, choices=tasks)
    task: Any = getattr(parser.parse_args(), "task", None)
    if "DVC_STAGE" in os.environ:
        # No orphans after 'kill -9' of dvc, which would not know of what they finish.
        die_with_parent()
    try:
        params = load_params()
        torch.set_num_threads(params.compute.threads)
        keep_freed_memory()
        with tracking.stage_run(stage, task, _recorded(params, sections)) as ledger:
            run(StageContext(stage, task, params, ledger))
    except UserError as error:
        return _fail(stage, task, str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(
            stage, task, f"{error.filename or 'data'}: disk full; free space and run again, finished work is kept"
        )
    return 0


def open_folder(folder: Path, key: dict[str, object]) -> Path:
    """Make ``folder``, or keep what is in it if it was made with the same ``key``; else empty it and say so.

    DVC keeps the outputs of resumable stages, so after a change of parameters the old files would be taken for new.
    """
    marker = folder / KEY
    text = canonical_json(key)
    if folder.exists() and any(folder.iterdir()) and (not marker.exists() or marker.read_text() != text):
        print(f"{folder}: made with other parameters, inputs or code; starting afresh", file=sys.stderr)
        marker.unlink(missing_ok=True)  # first, or a kill half-way would leave a ruin that looks like ours
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.rglob(".*.tmp*"):
        leftover.unlink()
    write_atomic(marker, text)
    return folder


def key_of(*parts: object, files: Iterable[Place] = (), code: Iterable[str] = ()) -> dict[str, object]:
    """A key for :func:`open_folder`: parameters, the bytes of input files, the code of modules and all they import.

    Args:
        parts: parameters, models of pydantic or plain values.
        files: inputs.
        code: dotted names, see :func:`sigforge.core.provenance.code_hash`.
    """
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return {"parameters": hash_of(plain), "inputs": fingerprint(files), "code": code_hash(*code)}


def _recorded(params: Params, sections: tuple[str, ...]) -> dict[str, object]:
    tree = params.model_dump(mode="json")
    return {key: value for key, value in leaves(tree) if any(_under(key, section) for section in (*sections, "seed"))}


def _under(key: str, section: str) -> bool:
    return key == section or key.startswith(f"{section}.")


def _fail(stage: str, task: str | None, message: str) -> int:
    print(escape_terminal(f"error: {stage}{'@' + task if task else ''}: {message}"), file=sys.stderr)
    return 2
