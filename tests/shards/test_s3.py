"""Shards in a bucket: the bytes of the local ones, whatever happened to the connection on the way."""

import json

import numpy as np
import pytest

from sigforge.cli.app import app
from sigforge.core.errors import UserError
from sigforge.core.images import encode_png
from sigforge.core.storage import place
from sigforge.shards.layout import ShardPath, key_name, shards_in
from sigforge.shards.pairs import ShardPairs, read_samples
from sigforge.shards.verify import verify
from sigforge.shards.writer import SampleFailure, ShardSample, finished, write_shard

KEY = {"parameters": "1"}


def samples(index):
    for number in range(3 * index, 3 * index + 3):
        if number == 4:
            yield SampleFailure(key_name(number), "p4", "vif", "too_small: x")
            continue
        a, b = (encode_png(np.random.default_rng([number, side]).integers(0, 256, (9, 9), np.uint8)) for side in (0, 1))
        yield ShardSample(key_name(number), f"p{number}", "vif", a, b, "png", {"n": number})


def write(folder, count=3):
    for index in range(count):
        write_shard(ShardPath.of(folder, "vif", "train", index), samples(index), KEY)


def contents(folder):
    """Every byte, but for the seconds in done-markers."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {n: json.loads(data) | {"seconds": 0} if n.endswith(".json") else data for n, data in files.items()}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    write(folder)
    return folder


def test_the_bytes_are_those_of_a_local_run(here, s3):
    write(s3.folder)
    assert contents(s3.folder) == contents(here)
    assert len(contents(here)) == 9 and verify(s3.folder) == []
    np.testing.assert_array_equal(ShardPairs(s3.folder)[3][0], ShardPairs(here)[3][0])
    assert list(read_samples(shards_in(s3.folder)[1])) == list(read_samples(shards_in(here)[1]))


def test_finished_means_complete_and_of_this_key(s3):
    write(s3.folder, 1)
    shard = shards_in(s3.folder)[0]
    assert finished(shard, KEY).samples == 3 and finished(shard, {}) is None
    for path in (shard.table, shard.tar, shard.done):
        data = path.read_bytes()
        path.unlink()
        assert finished(shard, KEY) is None
        with path.replaced() as temporary:
            temporary.write_bytes(data)
    assert finished(shard, KEY)


@pytest.mark.parametrize("file", ["tar", "table", "done"])
def test_a_connection_lost_between_two_files_leaves_no_shard(here, s3, monkeypatch, file):
    """The done-marker comes last: nothing trusts what lies there before."""
    shard = ShardPath.of(s3.folder, "vif", "train", 0)
    replaced = type(s3.folder).replaced

    def cut(path):
        if path == getattr(shard, file):
            s3.stop()
        return replaced(path)

    monkeypatch.setattr(type(s3.folder), "replaced", cut)
    with pytest.raises(
        UserError, match=r"S3 does not answer, or broke off \(.*\): .* run again; finished work is kept"
    ):
        write_shard(shard, samples(0), KEY)
    s3.start()
    assert finished(shard, KEY) is None and shards_in(s3.folder) == []
    monkeypatch.undo()
    write(s3.folder)
    assert contents(s3.folder) == contents(here)


def test_an_old_marker_never_stands_beside_new_files(s3, monkeypatch):
    write(s3.folder, 1)
    shard = shards_in(s3.folder)[0]
    replaced = type(s3.folder).replaced

    def cut(path):
        if path == shard.table:
            raise KeyboardInterrupt
        return replaced(path)

    monkeypatch.setattr(type(s3.folder), "replaced", cut)
    with pytest.raises(KeyboardInterrupt):
        write_shard(shard, samples(1), KEY)
    assert not shard.done.exists() and shards_in(s3.folder) == []


def altered(path, change):
    data = change(path.read_bytes())
    with path.replaced() as temporary:
        temporary.write_bytes(data)


BREAKS = {
    "cut": (
        lambda f: altered(f / "vif-train-000001.tar", lambda d: d[:-600]),
        "000001.tar: has 9640 bytes, not the promised 10240",
    ),
    "flipped": (
        lambda f: altered(f / "vif-train-000001.tar", lambda d: d[:99] + b"x" + d[100:]),
        "000001.tar: sha256 is",
    ),
    "table": (lambda f: altered(f / "vif-train-000002.parquet", lambda d: d[:-1]), "000002.parquet: sha256 is not"),
    "missing": (lambda f: (f / "vif-train-000001.tar").unlink(), "000001.tar: missing"),
    "swapped": (
        lambda f: altered(f / "vif-train-000001.tar", lambda _: (f / "vif-train-000002.tar").read_bytes()),
        "000001.tar: sha256 is not the promised",
    ),
    "extra": (lambda f: altered_new(f / "notes.txt"), "notes.txt: does not belong to any shard"),
    "gap": (lambda f: [path.unlink() for path in f.glob("*-000001.*")], "000001.tar: missing from the series"),
}


def altered_new(path):
    with path.replaced() as temporary:
        temporary.write_bytes(b"x")


@pytest.mark.parametrize("how", BREAKS)
def test_verify_finds_what_is_broken(s3, capsys, how):
    write(s3.folder)
    change, problem = BREAKS[how]
    change(s3.folder)
    with pytest.raises(SystemExit) as code:
        app(["verify", str(s3.folder)])
    told = capsys.readouterr().out.splitlines()
    assert code.value.code == 1 and len(told) == 1 and told[0].startswith("s3://") and problem in told[0]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as code:
        app([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return code.value.code, told.out, told.err


def test_verify_over_s3(s3, capsys):
    write(s3.folder)
    assert run(capsys, "verify", s3.folder) == (0, f"{s3.folder}: 3 shards, every byte and count as promised\n", "")
    assert run(capsys, "verify", f"{s3.folder}/x")[2] == f"error: {s3.folder}/x: no such folder: correct the path\n"
    bucket = "error: s3://nowhere: no such bucket: create it, or correct the address\n"
    assert run(capsys, "verify", "s3://nowhere/x") == (2, "", bucket)
    s3.stop()
    code, _, error = run(capsys, "verify", s3.folder)
    assert code == 2 and error.startswith(f"error: {s3.folder}: S3 does not answer") and error.count("\n") == 1


def test_a_connection_lost_while_verifying_is_no_broken_shard(s3, monkeypatch):
    write(s3.folder)
    from sigforge.shards import verify as module

    monkeypatch.setattr(module, "_mixed", lambda shards: s3.stop() or [])
    with pytest.raises(UserError, match="S3 does not answer"):
        verify(s3.folder)


def test_the_address_is_kept_as_typed():
    assert str(place("s3://bucket/a/b")) == "s3://bucket/a/b"
