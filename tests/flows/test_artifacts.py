import json
from pathlib import Path

import pytest

from flows import artifacts
from sigforge.shards.layout import ShardPath
from sigforge.shards.writer import SampleFailure, ShardSample, write_shard

SUMMARY = {
    "task": "vif",
    "pairs": 4,
    "methods": {"sigfusion": {"q_g": 0.51234, "mi": 3.0}, "mean": {"q_g": 0.4, "mi": None}},
}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def summary(task):
    path = Path("data/evaluate", task, "summary.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(SUMMARY))


def test_shards_reads_what_the_writer_writes():
    sample = ShardSample("000000000", "p0", "vif", b"aa", b"bb", "webp", {})
    failed = SampleFailure("000000001", "p1", "vif", "truncated")
    report = write_shard(ShardPath.of(Path("data/synth/vif"), "vif", "train", 0), [sample, failed], {"k": 1})
    text = artifacts.shards("vif")
    assert "vif: 1 pairs in 1 shards" in text
    assert f"| {report.shard} | 1 | 1 | {report.bytes} |" in text


def test_scores_keep_a_column_per_metric():
    summary("vif")
    lines = artifacts.scores("vif").splitlines()
    assert lines[0] == "## vif: means over 4 test pairs"
    assert lines[2:] == [
        "| method | mi | q_g |", "| --- | --- | --- |", "| sigfusion | 3.0000 | 0.5123 |", "| mean | undefined | 0.4000 |",
    ]  # fmt: skip


def test_scores_begin_with_both_and_end_with_notes():
    path = Path("data/evaluate/vif/summary.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(SUMMARY | {"both": {"sigfusion": 1.0, "mean": 2.5}, "notes": ["mean is a copy"]}))
    lines = artifacts.scores("vif").splitlines()
    assert lines[2] == "| method | both | mi | q_g |" and lines[4] == "| sigfusion | 1.0000 | 3.0000 | 0.5123 |"
    assert lines[-1] == "- mean is a copy"


def test_overview_needs_the_report_and_shows_every_task():
    summary("vif"), summary("mef")
    assert artifacts.overview("") == ""
    Path("data/report").mkdir()
    Path("data/report/index.html").touch()
    text = artifacts.overview("")
    assert str(Path("data/report/index.html").resolve()) in text
    assert text.count("means over 4 test pairs") == 2


@pytest.mark.parametrize("target", ["synth@vif", "evaluate@mef", "report", "plgn@vif", "pretrain"])
def test_nothing_made_nothing_published(target, monkeypatch):
    monkeypatch.setattr(artifacts, "create_markdown_artifact", lambda *_, **__: pytest.fail("published"))
    assert artifacts.publish(target) is None


def test_the_card_of_the_newest_release():
    import os

    for number, (name, task) in enumerate((("a-1.0.0", "vif"), ("a-1.1.0", "vif"), ("b-1.0.0", "mef"))):
        folder = Path("data/publish") / name
        folder.mkdir(parents=True)
        (folder / "provenance.json").write_text(f'{{"task": "{task}"}}')
        os.utime(folder / "provenance.json", (number, number))
        (folder / "README.md").write_text(f"---\nlicense: other\n---\n\n# {name}\n")
    assert artifacts.release("vif").endswith("# a-1.1.0\n") and "license" not in artifacts.release("vif")
    assert artifacts.release("mif") == ""
