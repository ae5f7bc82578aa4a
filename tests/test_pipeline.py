"""dvc.yaml: what it lists, what it runs, and that a change makes stale what depends on it and nothing else."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sigforge.config.load import overlay
from sigforge.dataset.tasks import TASKS

ROOT = Path(__file__).parents[1]
IN_TURN = ("fuse", "plgn", "synth", "pretext", "finetune", "evaluate")
PER_TASK = (*IN_TURN, "systems", "transfer")
TARGETS = {
    "ingest@photos",
    "pretrain",
    "report",
    *(f"{stage}@{task}" for stage in ("ingest", *PER_TASK, "few_shot", "publish") for task in TASKS),
}
CHAIN = {"ingest@photos", "ingest@vif", "pretrain", *(f"{stage}@vif" for stage in PER_TASK)}
LEAVES = {"report", "publish@vif", "few_shot@vif"}
BELOW_SYNTH = {f"{stage}@vif" for stage in ("synth", "pretext", "finetune", "transfer", "evaluate")}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What git holds (and would take) of this repository, with tiny parameters and no lock file."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip(f"not a git repository: {listed.stderr.strip()}")
    for name in listed.stdout.split("\0"):
        if name.startswith(("components/", ".dvc", ".gitignore", "dvc.yaml")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    tiny = yaml.safe_load((ROOT / "tests/stages/tiny.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(overlay(raw, tiny), sort_keys=False))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def dvc(folder, *arguments):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "SIGFORGE_TRACKING": "off", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(folder, target):
    """The stages that ran."""
    return set(re.findall(r"^Running stage '(.+)':", dvc(folder, "repro", target), re.MULTILINE))


def stale(folder):
    """Targets whose dependencies or parameters differ from their lock entry, and why."""
    found = json.loads(dvc(folder, "status", "--json"))
    reasons = {target: [entry for entry in why if isinstance(entry, dict)] for target, why in found.items()}
    return {
        target: [dep for entry in entries for dep in entry.get("changed deps", {})]
        for target, entries in reasons.items()
    }


def edit(folder, key, value):
    params = yaml.safe_load((folder / "params.yaml").read_text())
    *path, last = key.split(".")
    tree = params
    for part in path:
        tree = tree[part]
    tree[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture(scope="module")
def graph(clone):
    """Target to the targets that read its outputs."""
    edges = re.findall(r'^"(.+)" -> "(.+)";$', dvc(clone, "dag", "--dot"), re.MULTILINE)
    below = {target: set() for target in TARGETS}
    for upper, lower in edges:
        below[upper].add(lower)
    return below


def everything_below(graph, targets):
    found, pending = set(), list(targets)
    while pending:
        target = pending.pop()
        if target not in found:
            found.add(target)
            pending += graph[target]
    return found


def test_stages_are_listed_with_what_they_do(clone):
    listed = dict(line.split(maxsplit=1) for line in dvc(clone, "stage", "list").splitlines())
    assert set(listed) == TARGETS
    for target, text in listed.items():
        _, _, task = target.partition("@")
        assert not task or task in text, "the description names the task"


def test_the_graph_reads_like_the_pipeline(graph):
    for task in TASKS:
        assert graph[f"ingest@{task}"] == {f"{stage}@{task}" for stage in PER_TASK if stage != "pretext"} | {
            "report",
            f"publish@{task}",
            f"few_shot@{task}",
        }
        for stage, after in itertools.pairwise(IN_TURN):
            assert f"{after}@{task}" in graph[f"{stage}@{task}"]
        assert graph[f"systems@{task}"] == graph[f"transfer@{task}"] == {f"evaluate@{task}", "report"}
        assert f"transfer@{task}" in graph[f"synth@{task}"] & graph["ingest@photos"]
        assert f"synth@{task}" in graph["ingest@photos"]
        assert {f"plgn@{task}", f"pretext@{task}"} <= graph["pretrain"]
        assert graph[f"few_shot@{task}"] == set() and f"few_shot@{task}" in graph[f"synth@{task}"]
        assert graph[f"publish@{task}"] == set() and f"publish@{task}" in graph[f"synth@{task}"]
    assert graph["report"] == set()
    assert everything_below(graph, ["ingest@photos"]) >= {"pretrain", "report"}
    assert everything_below(graph, ["fuse@vif"]) == {f"{stage}@vif" for stage in PER_TASK} | LEAVES
    assert everything_below(graph, ["synth@vif"]) == BELOW_SYNTH | LEAVES


@pytest.fixture(scope="module")
def done(clone):
    """The chain of one task, run once; the stages that ran."""
    return repro(clone, "evaluate@vif")


def test_one_target_runs_with_what_it_needs_and_only_once(clone, done):
    assert done == CHAIN
    assert (clone / "data/evaluate/vif/summary.json").exists()
    assert sorted(path.name for path in (clone / "data").iterdir()) == sorted(
        {target.partition("@")[0] for target in CHAIN}
    )
    assert repro(clone, "evaluate@vif") == set()
    assert not CHAIN & set(stale(clone))


@pytest.mark.parametrize(
    ("key", "value", "first"),
    [
        ("fuse.vif", {"mean": {}, "laplacian": {"levels": 2}}, {"fuse@vif"}),
        ("ingest.vif.min_pairs", 3, {"ingest@vif"}),
        ("synth.size", 96, {"synth@vif"}),
        ("compute.workers", 3, set()),
        ("fuse.mif", {"mean": {}}, set()),
    ],
)
def test_a_parameter_makes_stale_what_reads_it(clone, done, key, value, first):
    """The stages of the finished chain that a change reaches directly; what lies below follows from the graph."""
    before = (clone / "params.yaml").read_text()
    edit(clone, key, value)
    changed = stale(clone)
    (clone / "params.yaml").write_text(before)
    assert {target for target in changed if target in CHAIN} == first
    assert all(changed[target] == ["params.yaml"] for target in first)


def test_one_fuse_option_reruns_what_depends_on_it(clone, done):
    edit(clone, "fuse.vif", {"mean": {}, "laplacian": {"levels": 2}})
    assert repro(clone, "evaluate@vif") == {f"{stage}@vif" for stage in PER_TASK}
