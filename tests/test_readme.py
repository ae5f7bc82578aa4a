"""What README and docs tell a user to type has to work."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sigforge.config.load import load_params, overlay, validate
from sigforge.dataset.sources.scenes import simulate
from sigforge.dataset.splits import assign_splits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands():
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line]


def targets():
    listed = subprocess.run(
        [Path(sys.executable).parent / "dvc", "stage", "list", "--name-only"], cwd=ROOT, capture_output=True, text=True
    )
    return set(listed.stdout.split())


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_make_targets_exist(command):
    dry = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith(("dvc repro", "dvc dag"))])
def test_dvc_targets_exist(command):
    assert set(command.split()[2:]) <= targets()


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("python -m")])
def test_modules_run(command):
    done = subprocess.run([sys.executable, *command.split()[1:3], "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "--task" in done.stdout


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("sigforge")])
def test_sigforge_commands_take_the_options_shown(command):
    words = command.split()
    named = words[1:3] if words[1] in ("data", "shards", "weights") else words[1:2]
    done = subprocess.run(
        [Path(sys.executable).parent / "sigforge", *named, "--help"],
        capture_output=True,
        text=True,
        env={"COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words if word.startswith("-"))


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("prefect deployment run")])
def test_deployments_are_served(command):
    from flows.server.serve import deployments

    assert command.split()[-1] in {deployment.name for deployment in deployments()}


def test_every_command_is_of_a_kind_tested_here():
    known = ("make ", "dvc repro", "dvc dag", "dvc metrics show", "python -m", "sigforge ", "prefect deployment run")
    assert [command for command in commands() if not command.startswith(known)] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/extending.md", "docs/sigfusion.md"])
def test_python_blocks_run(document, tmp_path):
    for block in blocks("python", (ROOT / document).read_text()):
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_yaml_blocks_are_valid_parameters():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for block in blocks("yaml"):
        assert validate(overlay(raw, yaml.safe_load(block))).ingest.vif.watch == "/data/mine"


def test_the_worked_example_is_right():
    params = load_params(ROOT / "params.yaml")
    (demo,), fractions = params.ingest.vif.sources, params.ingest.vif.splits
    bases = {pair.pair_id: pair.base for pair in simulate("vif", demo.count, demo.size, params.seed)}
    shares = {"train": 1 - fractions.val - fractions.test, "val": fractions.val, "test": fractions.test}
    m = len(assign_splits(bases, shares, params.seed, bases)["train"])
    n, z = len(params.fuse.vif), len(params.sigformer.subbands)
    assert f"{m} training pairs" in README and f"give 2 x {m} x {n} x {z} = {2 * m * n * z}" in README
