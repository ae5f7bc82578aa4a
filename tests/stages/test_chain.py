"""What a finished run leaves behind, for one task and for all."""

import json

import pyarrow.parquet as pq
import pytest
import yaml

from sigforge.core.provenance import closure, files_of
from sigforge.dataset.corpus import corpora
from sigforge.dataset.tables import read_pairs
from sigforge.dataset.tasks import TASKS
from sigforge.evaluation.references import REFERENCES
from sigforge.shards.verify import verify
from sigforge.stages import _base as base

# They carry the seconds that something took.
TIMED = ("corpus.parquet", ".json")


def test_every_stage_leaves_its_files_and_no_scraps(finished):
    names = {path.relative_to(finished.data).as_posix() for path in finished.data.rglob("*") if path.is_file()}
    for folder, files in {
        "ingest/photos": ("photos.parquet", "quarantine.parquet"),
        "ingest/vif": ("pairs.parquet", "quarantine.parquet"),
        "systems/vif/sspfusion": ("model.safetensors", "history.parquet"),
        "systems/vif/sspfusion/structure": ("model.safetensors", "history.parquet"),
        "pretrain": ("model.safetensors", "history.parquet"),
        "plgn/vif": ("model.safetensors", "history.parquet", "signals.parquet"),
        "pretext/vif": ("model.safetensors", "history.parquet"),
        "finetune/vif": ("model.safetensors", "history.parquet"),
        "evaluate/vif": ("metrics.parquet", "summary.json"),
    }.items():
        assert {f"{folder}/{file}" for file in files} <= names
    assert not [name for name in names if ".tmp" in name or "checkpoint" in name]


def test_counts_agree_between_stages(finished):
    pairs = read_pairs(finished.data / "ingest/vif/pairs.parquet")
    training = [pair for pair in pairs if pair.split == "train"]
    fused = corpora(finished.data / "fuse/vif")
    assert len(pairs) == 8 and {pair.split for pair in pairs} == {"train", "val", "test"}
    assert set(fused) == {"mean", "max"} and all(
        set(paths) == {pair.pair_id for pair in pairs} for paths in fused.values()
    )
    assert pq.read_metadata(finished.data / "plgn/vif/signals.parquet").num_rows == 2 * len(training) * 2 * 5
    assert verify(finished.data / "synth/vif") == []
    reports = [json.loads(path.read_text()) for path in sorted((finished.data / "synth/vif").glob("*.json"))]
    assert [(report["samples"], report["failures"]) for report in reports] == [(3, 0), (3, 0), (2, 0)]


def test_evaluate_scores_every_method_on_the_test_pairs(finished):
    tests = {pair.pair_id for pair in read_pairs(finished.data / "ingest/vif/pairs.parquet", "test")}
    rows = pq.read_table(finished.data / "evaluate/vif/metrics.parquet").to_pylist()
    found = {(row["method"], row["metric"], row["pair_id"]) for row in rows}
    methods = ("sigfusion", "sspfusion", "mean", "max", *REFERENCES)
    assert found == {(m, q, p) for m in methods for q in ("q_g", "mi", "sd") for p in tests}
    summary = json.loads((finished.data / "evaluate/vif/summary.json").read_text())
    values = [row["value"] for row in rows if (row["method"], row["metric"]) == ("max", "sd")]
    assert summary["pairs"] == len(tests) and summary["methods"]["max"]["sd"] == pytest.approx(
        sum(values) / len(values)
    )


def test_same_parameters_same_bytes(finished, again):
    mine, theirs = (
        {
            name: data
            for name, data in run.files("**/*").items()
            if not name.endswith(TIMED) and not name.endswith("KEY")
        }
        for run in (finished, again)
    )
    assert mine.keys() == theirs.keys() and len(mine) > 50
    assert [name for name in mine if mine[name] != theirs[name]] == []


def test_all_tasks_and_the_report(project):
    sizes = {"mif": 9, "mfif": 6, "mef": 6}
    for task, count in sizes.items():
        project.set(f"ingest.{task}.sources", [{"kind": "demo", "count": count, "size": 64}])
        project.set(f"ingest.{task}.min_pairs", 2)
        project.set(f"fuse.{task}", {"mean": {}})
        for stage in ("ingest", "fuse", "plgn", "synth", "pretext", "finetune", "evaluate"):
            project.call(stage, task)
    project.call("report")
    page = (project.data / "report/index.html").read_text()
    assert all(f'id="{task}"' in page for task in TASKS) and page.count("data:image") > 40
    assert {path.name for path in (project.data / "report/tables").iterdir()} == {
        f"{task}.{suffix}" for task in TASKS for suffix in ("md", "csv", "tex")
    }


@pytest.mark.parametrize("stage", ["pretrain", "plgn", "synth", "pretext", "finetune"])
def test_a_stage_that_resumes_knows_the_code_it_depends_on(project, monkeypatch, stage, request):
    """DVC reruns a stage when code in its deps changes; a stage whose key did not would then keep the old result."""
    named, whole = [], base.code_hash
    monkeypatch.setattr(base, "code_hash", lambda *modules: (named.extend(modules), whole(*modules))[1])
    project.call(stage)
    root = request.config.rootpath
    known = {path.relative_to(root).as_posix() for path in files_of(closure(*named))}
    entry = yaml.safe_load((root / "dvc.yaml").read_text())["stages"][stage]
    code = {dep for dep in entry["deps"] if dep.startswith("components/")}
    assert {dep for dep in code if dep not in known and not any(file.startswith(f"{dep}/") for file in known)} == set()
