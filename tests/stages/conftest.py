"""One tiny finished run of the ``vif`` chain, made once; every test works on a copy of its own."""

import contextlib
import importlib
import os
import runpy
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
import yaml

from sigforge.config.load import load_params, overlay
from sigforge.stages._base import StageContext
from sigforge.tracking import StageRun
from sigforge.training import loop

ROOT = Path(__file__).parents[2]
CHAIN = ("fuse", "systems", "pretrain", "plgn", "synth", "pretext", "finetune", "transfer", "evaluate")


class Project:
    """A project folder: its parameters, its stages (called here, or as their command line), its files."""

    def __init__(self, folder):
        self.folder, self.data = folder, folder / "data"

    def set(self, key, value):
        *path, last = key.split(".")
        tree = top = yaml.safe_load((self.folder / "params.yaml").read_text())
        for part in path:
            tree = tree[part]
        tree[last] = value
        (self.folder / "params.yaml").write_text(yaml.safe_dump(top))

    def call(self, stage, task="vif"):
        """The stage's ``run`` in this process; mistakes come as UserError."""
        params = load_params(self.folder / "params.yaml")
        context = StageContext(stage, None if stage in ("pretrain", "report") else task, params, StageRun())
        with contextlib.chdir(self.folder), threads(params.compute.threads):
            importlib.import_module(f"sigforge.stages.{stage}").run(context)

    def main(self, stage, task="vif"):
        """The command line in this process; returns its exit code."""
        with (
            contextlib.chdir(self.folder),
            threads(1),
            pytest.MonkeyPatch.context() as patch,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", RuntimeWarning)  # runpy: the module has been imported before
            patch.setattr(sys, "argv", self.arguments(stage, task)[2:])
            with pytest.raises(SystemExit) as exit_:
                runpy.run_module(f"sigforge.stages.{stage}", run_name="__main__")
        return exit_.value.code

    def command(self, stage, task="vif"):
        """The command line in a process of its own."""
        return subprocess.run(
            self.arguments(stage, task), cwd=self.folder, env=environment(), capture_output=True, text=True
        )

    def start(self, stage, task="vif"):
        """The same, still running."""
        return subprocess.Popen(
            self.arguments(stage, task), cwd=self.folder, env=environment(), stderr=subprocess.DEVNULL
        )

    def arguments(self, stage, task):
        shared = stage in ("pretrain", "report")
        return [sys.executable, "-m", f"sigforge.stages.{stage}", *([] if shared else ["--task", task])]

    def files(self, pattern):
        return {
            str(path.relative_to(self.data)): path.read_bytes()
            for path in sorted(self.data.glob(pattern))
            if path.is_file()
        }

    def written(self, pattern):
        """When and as what each file was written: equal means untouched."""
        stats = {str(path.relative_to(self.data)): path.stat() for path in self.data.glob(pattern)}
        return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


@contextlib.contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def environment():
    return os.environ | {"PYTHONPATH": f"{ROOT / 'components'}{os.pathsep}{ROOT}", "SIGFORGE_TRACKING": "off"}


def new_project(folder):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    (folder / "params.yaml").write_text(
        yaml.safe_dump(overlay(raw, yaml.safe_load((ROOT / "tests/stages/tiny.yaml").read_text())))
    )
    return Project(folder)


def run_chain(project):
    project.call("ingest", "photos")
    project.call("ingest")
    for stage in CHAIN:
        project.call(stage)
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The finished run; for reading only."""
    return run_chain(new_project(tmp_path_factory.mktemp("finished")))


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished run."""
    return Project(shutil.copytree(finished.folder, tmp_path / "project"))


@pytest.fixture
def bare(tmp_path):
    """Parameters and nothing else."""
    return new_project(tmp_path)


@pytest.fixture
def again(tmp_path):
    """The whole chain once more, in another folder."""
    return run_chain(new_project(tmp_path))


@pytest.fixture
def until():
    def wait(condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.01)

    return wait


@pytest.fixture
def steps(monkeypatch):
    """The steps that training takes from now on."""
    taken = []
    update = loop._update
    monkeypatch.setattr(loop, "_update", lambda *args: (taken.append(args[-1]), update(*args))[1])
    return taken
