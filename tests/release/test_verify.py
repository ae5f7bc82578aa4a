"""Whatever is altered in a release, verify names it; even if checksums are made to fit."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigforge.cli.app import app
from sigforge.core.files import sha256_file
from sigforge.release.verify import verify_release


def flip(path, at=700):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.unlink()  # it is a link to the shard that it was made from
    path.write_bytes(data)


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def cut(path):
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def swap(one, other):
    first, second = one.read_bytes(), other.read_bytes()
    for path, data in ((one, second), (other, first)):
        path.unlink()
        path.write_bytes(data)


ALTERATIONS = {
    "a bit of a tar": (lambda f: flip(f / "vif-train-000000.tar"), ["vif-train-000000.tar"]),
    "a cut tar": (lambda f: cut(f / "vif-train-000001.tar"), ["vif-train-000001.tar"]),
    "a table": (lambda f: flip(f / "vif-train-000002.parquet", 60), ["vif-train-000002.parquet"]),
    "a count in a marker": (
        lambda f: rewrite(f / "vif-train-000001.json", '"samples": 2', '"samples": 3'),
        ["vif-train-000001.json", "vif-train-000001.parquet"],
    ),
    "a word of the card": (lambda f: rewrite(f / "README.md", "synthetic", "real"), ["README.md"]),
    "the licence": (lambda f: rewrite(f / "LICENSE", "CC BY", "CC0"), ["LICENSE"]),
    "the description": (lambda f: rewrite(f / "croissant.json", "registered", "aligned"), ["croissant.json"]),
    "a missing credit table": (lambda f: (f / "ATTRIBUTION.parquet").unlink(), ["ATTRIBUTION.parquet"]),
    "a missing shard": (
        lambda f: [(f / f"vif-train-000000.{end}").unlink() for end in ("tar", "parquet", "json")],
        ["vif-train-000000.json", "vif-train-000000.parquet", "vif-train-000000.tar"],
    ),
    "a stray file": (lambda f: (f / "notes.txt").write_text("x"), ["notes.txt"]),
    "two tars swapped": (
        lambda f: swap(f / "vif-train-000000.tar", f / "vif-train-000001.tar"),
        ["vif-train-000000.tar", "vif-train-000001.tar"],
    ),
    "the checksums themselves": (lambda f: rewrite(f / "SHA256SUMS", "  LICENSE", "  LICENCE"), ["LICENCE", "LICENSE"]),
    "no checksums": (lambda f: (f / "SHA256SUMS").unlink(), ["SHA256SUMS"]),
}


@pytest.mark.parametrize(("alter", "named"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_every_alteration_is_named(release, alter, named):
    alter(release)
    verdict = verify_release(release)
    assert sorted({re.match(rf"{release}/?([^:]*)", line)[1] for line in verdict.problems}) == named
    assert verdict.checked == ""


def test_a_release_and_several_alterations(release):
    flip(release / "vif-train-000000.tar")
    rewrite(release / "README.md", "synthetic", "real")
    (release / "more.tar").touch()
    assert len(verify_release(release).problems) == 3


def vouch(release, name):
    """Make the checksums fit an altered file."""
    sums = release / "SHA256SUMS"
    sums.write_text(re.sub(rf"\w+(?=  {name}\n)", sha256_file(release / name), sums.read_text()))


def fewer_credits(release):
    path = release / "ATTRIBUTION.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.set_column(7, "pairs", pa.array([1] * rows.num_rows, pa.int32())), path)


def other_sha256(release):
    path = release / "croissant.json"
    tree = json.loads(path.read_text())
    tree["distribution"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(tree))


FORGED = {
    "ATTRIBUTION.parquet": (fewer_credits, "credits 4 pairs, the shards hold 7"),
    "croissant.json": (other_sha256, "another sha256 for vif-train-000000.tar than SHA256SUMS"),
    "provenance.json": (lambda f: rewrite(f / "provenance.json", '"pairs": 7', '"pairs": 9'), "states 9 pairs"),
}


@pytest.mark.parametrize("name", FORGED)
def test_descriptions_that_contradict_the_shards_are_found_though_the_checksums_fit(release, name):
    alter, told = FORGED[name]
    alter(release)
    vouch(release, name)
    if name == "ATTRIBUTION.parquet":
        tree = json.loads((release / "croissant.json").read_text())
        next(part for part in tree["distribution"] if part["@id"] == name)["sha256"] = sha256_file(release / name)
        (release / "croissant.json").write_text(json.dumps(tree))
        vouch(release, "croissant.json")
    (problem,) = verify_release(release).problems
    assert problem.startswith(f"{release}/{name}: ") and told in problem


def test_the_command_says_in_one_line_what_it_checked(release, capsys):
    with pytest.raises(SystemExit) as exit_:
        app(["verify", str(release)])
    told = capsys.readouterr().out
    assert exit_.value.code == 0 and told.count("\n") == 1
    for part in ("release pairs 1.0.0", "15 files", "3 shards, 7 pairs", "4 photographs credited"):
        assert part in told


def test_a_release_in_a_bucket(release, s3, capsys):
    from sigforge.core.storage import _s3

    for path in release.iterdir():
        _s3().put_file(str(path), f"{s3.folder.place}/{path.name}")
    assert verify_release(s3.folder).problems == []
    (s3.folder / "LICENSE").unlink()
    assert verify_release(s3.folder).problems == [f"{s3.folder}/LICENSE: missing"]
