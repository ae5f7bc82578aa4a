"""A release is whole, says whom to credit, and is the same every time; what may not be given away is not."""

import json
import logging
import shutil
import subprocess
import warnings
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import yaml

from sigforge.core.errors import UserError
from sigforge.release import build as module
from sigforge.release.build import build_release
from sigforge.release.layout import ReleaseTitle
from sigforge.release.verify import verify_release
from sigforge.shards.layout import shards_in

from .conftest import CC_BY, contents_of, request_for, write_shards


def names(out):
    return sorted(path.name for path in out.iterdir()) if out.exists() else []


def test_files_checksums_and_hard_links(release, shards):
    listed = dict(line.split("  ")[::-1] for line in (release / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == {path.name for path in release.iterdir()} - {"SHA256SUMS"}
    checked = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=release, capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stdout.count(": OK") == len(listed)
    for shard in shards_in(release):
        assert shard.tar.stat().st_ino == (shards / shard.tar.name).stat().st_ino
    assert verify_release(release, decode=True).problems == []


def test_same_bytes_when_shards_are_made_again(release, tmp_path):
    again = write_shards(tmp_path / "again", 8, failed=(4,))
    other = build_release(request_for(again, tmp_path / "other", creator="Us", date="2026-11-28", citation="@misc{x}"))
    assert contents_of(other) == contents_of(release)


def test_credits_name_every_photograph_once(release):
    rows = pq.read_table(release / "ATTRIBUTION.parquet").to_pylist()
    assert [(row["photo_id"], row["author"], row["source"], row["pairs"]) for row in rows] == [
        ("s-0", "Jane Doe 0", "s", 2),
        ("s-1", "Jane Doe 1", "s", 2),
        ("s-2", "Jane Doe 2", "s", 1),
        ("s-3", "Jane Doe 3", "s", 2),
    ]
    assert {(row["licence"], row["licence_url"]) for row in rows} == {CC_BY}


def test_the_card_begins_with_what_the_hub_reads(release):
    _, front, page = (release / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["license"] == "cc-by-2.0" and facts["size_categories"] == ["n<1K"]
    assert facts["configs"][0]["data_files"] == [{"split": "train", "path": "*.tar"}]
    for text in ("7 synthetic pairs", "1 candidates failed", "preview.png", "@misc{x}", "load_dataset", "Limits"):
        assert text in page


def test_croissant_is_valid_and_its_records_are_read(release, tmp_path, monkeypatch):
    warnings.simplefilter("ignore")
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed: extra 'test'")
    from mlcroissant._src.operation_graph.operations import extract

    monkeypatch.setattr(extract, "EXTRACT_PATH", extract.EXTRACT_PATH.__class__(tmp_path / "cache"))
    logging.getLogger("absl").setLevel(logging.ERROR)
    dataset = mlcroissant.Dataset(str(release / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors and not issues.warnings
    found = {name: list(dataset.records(name)) for name in ("photographs", "samples", "a", "b")}
    assert {name: len(rows) for name, rows in found.items()} == {"photographs": 4, "samples": 8, "a": 7, "b": 7}
    keys = [{row[f"{side}/key"] for row in found[side]} for side in "ab"]
    assert keys[0] == keys[1] == {b"%09d" % n for n in (0, 1, 2, 3, 5, 6, 7)}
    assert {row["b/image"].size for row in found["b"]} == {(16, 16)}


REFUSED = {
    "nobody to credit": ({"attribution": "s"}, {}, "asks for its author"),
    "no derivatives": ({"licence": ("CC BY-ND 2.0", "")}, {}, "forbids derivatives"),
    "unknown": ({"licence": ("unknown", "")}, {}, "none that is known to allow"),
    "research only": ({"licence": ("research only", "")}, {}, "none that is known to allow"),
    "excluded": ({"licence": ("CC BY-NC 2.0", "")}, {"exclude": ("nc",)}, "is excluded by 'nc'"),
    "nothing known": ({"licence": ("CC0-1.0", ""), "attribution": ""}, {}, "neither its author nor its source"),
}


@pytest.mark.parametrize(("made", "asked", "told"), REFUSED.values(), ids=REFUSED)
def test_what_may_not_be_given_away_is_not(tmp_path, made, asked, told):
    shards = write_shards(tmp_path / "shards", 4, **made)
    with pytest.raises(UserError, match=told) as error:
        build_release(request_for(shards, tmp_path / "out", **asked))
    assert "\n" not in str(error.value) and "'s-0'" in str(error.value)
    assert names(tmp_path / "out") == []


def test_an_author_for_photographs_that_name_none(tmp_path):
    shards = write_shards(tmp_path / "shards", 4, attribution="s")
    release = build_release(request_for(shards, tmp_path / "out", author="Jane"))
    assert pq.read_table(release / "ATTRIBUTION.parquet")["author"].to_pylist() == ["Jane", "Jane"]


def test_altered_shards_are_not_published(shards, tmp_path):
    tar = shards / "vif-train-000001.tar"
    data = bytearray(tar.read_bytes())
    data[600] ^= 1
    tar.write_bytes(data)
    with pytest.raises(UserError, match=r"000001\.tar: sha256 is not the promised.*nothing was published"):
        build_release(request_for(shards, tmp_path / "out"))
    assert names(tmp_path / "out") == []


def test_nothing_half_built_stays(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_release(request_for(shards, tmp_path / "out"))
    assert names(tmp_path / "out") == []
    (tmp_path / "out/.pairs-1.0.0.tmp").mkdir()  # what 'kill -9' leaves
    (tmp_path / "out/.pairs-1.0.0.tmp/junk").touch()
    monkeypatch.undo()
    build_release(request_for(shards, tmp_path / "out"))
    assert names(tmp_path / "out") == ["pairs-1.0.0"]


def test_a_version_never_changes_but_a_draft_does(shards, tmp_path):
    out, grown = tmp_path / "out", write_shards(tmp_path / "grown", 9)
    release = build_release(request_for(shards, out))
    before = contents_of(release)
    stat = release.stat().st_mtime_ns
    assert build_release(request_for(shards, out)) == release and release.stat().st_mtime_ns == stat
    changed = r"\(ATTRIBUTION.parquet, LICENSE, README.md\)"
    with pytest.raises(UserError, match=rf"version 1\.0\.0 exists with other bytes {changed}: raise the version"):
        build_release(request_for(grown, out))
    assert contents_of(release) == before and names(out) == ["pairs-1.0.0"]
    draft = build_release(request_for(shards, out, "1.1.0-dev"))
    assert build_release(request_for(grown, out, "1.1.0-dev")) == draft
    assert json.loads((draft / "provenance.json").read_text())["pairs"] == 9


def test_an_altered_version_is_not_taken_for_the_same(shards, tmp_path):
    release = build_release(request_for(shards, tmp_path / "out"))
    (release / "README.md").write_text("mine")
    with pytest.raises(UserError, match="its files are altered"):
        build_release(request_for(shards, tmp_path / "out"))
    assert (release / "README.md").read_text() == "mine"


def test_append_keeps_numbers_and_bytes_and_lists_what_is_new(tmp_path):
    first = build_release(request_for(write_shards(tmp_path / "first", 8), tmp_path / "out"))
    grown = write_shards(tmp_path / "grown", 12)
    second = build_release(request_for(grown, tmp_path / "out", "1.1.0", append=first))
    new = {"since": "1.0.0", "pairs": 4, "shards": ["vif-train-000002.tar", "vif-train-000003.tar"]}
    assert json.loads((second / "provenance.json").read_text())["new"] == new
    assert "New since 1.0.0" in (second / "README.md").read_text()
    for name in ("vif-train-000000.tar", "vif-train-000001.tar"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_append_refuses_what_does_not_hold_all(tmp_path):
    first = build_release(request_for(write_shards(tmp_path / "first", 8), tmp_path / "out"))
    other = request_for(write_shards(tmp_path / "other", 12, attribution="Jane, s"), tmp_path / "out", "1.1.0")
    cases = {
        "sample 000000000 of 1.0.0 differs": replace(other, append=first),
        "sample 000000006 of 1.0.0 is gone": replace(other, append=first, shards=write_shards(tmp_path / "less", 6)),
        "nothing is new since 1.0.0": replace(other, append=first, shards=tmp_path / "first"),
        "is a release of 'pairs', not of": replace(other, append=first, title=ReleaseTitle("x", "2.0.0")),
        "SHA256SUMS: missing": replace(other, append=tmp_path / "first"),
    }
    for told, request in cases.items():
        with pytest.raises(UserError, match=told):
            build_release(request)
    assert names(tmp_path / "out") == ["pairs-1.0.0"]


def test_another_file_system_gets_copies(shards, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "cross-device link")

    monkeypatch.setattr(module.os, "link", refuse)
    release = build_release(request_for(shards, tmp_path / "out"))
    assert verify_release(release).problems == []
    shutil.rmtree(shards)
    assert verify_release(release).problems == []


@pytest.mark.parametrize("title", [("Pairs", "1.0.0"), ("pairs", "1.0"), ("pairs", "1.0.0-rc1"), ("a b", "1.0.0")])
def test_names_and_versions_have_a_form(title):
    with pytest.raises(UserError, match="name|version"):
        ReleaseTitle(*title)
