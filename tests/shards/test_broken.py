"""Every way of breaking a shard is caught by verify; the reader names the shard that it cannot trust."""

import io
import json
import random
import shutil
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import encode_png
from sigforge.shards.layout import ShardPath, key_name
from sigforge.shards.pairs import ShardPairs
from sigforge.shards.verify import verify
from sigforge.shards.writer import ShardSample, write_shard


@pytest.fixture
def folder(tmp_path):
    for index in range(3):
        path = ShardPath.of(tmp_path, "vif", "train", index)
        write_shard(path, [sample(2 * index + n) for n in range(2)], {"key": 1})
    return tmp_path


def sample(n):
    a, b = (encode_png(np.random.default_rng([n, side]).integers(0, 256, (16, 16), np.uint8)) for side in (0, 1))
    return ShardSample(key_name(n), f"p{n}", "vif", a, b, "png", {"seed": n})


def rebuilt(folder, change):
    """The second tar with its members changed, and a done-marker that vouches for it."""
    tar, done = folder / "vif-train-000001.tar", folder / "vif-train-000001.json"
    with tarfile.open(tar) as old:
        members = change([(m, old.extractfile(m).read()) for m in old])
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as new:
        for header, data in members:
            header.size = len(data)
            new.addfile(header, io.BytesIO(data))
    vouch(done, sha256=sha256_file(tar), bytes=tar.stat().st_size)


def vouch(done, **promises):
    done.write_text(json.dumps(json.loads(done.read_text()) | promises))


def swap(members):
    (first, one), (second, two), *rest = members
    return [(first, two), (second, one), *rest]


def extra(members):
    header = tarfile.TarInfo("evil.pyd")
    return [*members, (header, b"x")]


def other_facts(members):
    return [(h, data.replace(b"seed", b"sead")) if h.name.endswith("json") else (h, data) for h, data in members]


CHANGES = {
    "swapped": swap,
    "extra": extra,
    "no json": lambda m: m[:-1],
    "no a": lambda m: m[1:],
    "none": lambda m: [],
    "facts": other_facts,
    "twice": lambda m: [*m, *m[:3]],
    "order": lambda m: m[3:] + m[:3],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_members_are_checked_even_if_the_marker_vouches(folder, change):
    rebuilt(folder, change)
    problems = verify(folder)
    assert problems and all("vif-train-000001.tar" in problem for problem in problems)


def test_files_of_a_folder(folder):
    assert verify(folder) == []
    (folder / "notes.bin").write_bytes(b"1")
    assert verify(folder) == [f"{folder}/notes.bin: does not belong to any shard"]
    (folder / "notes.bin").unlink()
    shutil.copy(folder / "vif-train-000000.tar", folder / "vif-train-000002.tar")
    assert "000002.tar: sha256" in verify(folder)[0]
    (folder / "vif-train-000002.tar").write_bytes(b"")
    assert "000002.tar: has 0 bytes, not the promised" in verify(folder)[0]
    for path in folder.glob("*-000001.*"):
        path.unlink()
    assert "vif-train-000001.tar: missing from the series" in verify(folder)[0]


@pytest.mark.parametrize("kept", [0, 600, 1500])
def test_a_cut_shard_is_named_by_the_reader(folder, kept):
    tar = folder / "vif-train-000001.tar"
    tar.write_bytes(tar.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"vif-train-000001.tar: 00000000[23].[ab] is cut or altered"):
        [ShardPairs(folder)[n] for n in range(6)]


def test_an_altered_table_is_named(folder):
    (folder / "vif-train-000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="vif-train-000001.parquet: missing, cut or altered"):
        ShardPairs(folder)


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_any_cut_and_any_flipped_bit_is_caught(folder, suffix):
    path, rng = folder / f"vif-train-000001.{suffix}", random.Random(3)
    whole = path.read_bytes()
    for position in rng.sample(range(len(whole)), 12):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << rng.randrange(8)
        for broken in (whole[:position], bytes(flipped), whole + b"x"):
            path.write_bytes(broken)
            problems = verify(folder)
            assert len(problems) == 1 and problems[0].startswith(f"{path}: "), position
    path.write_bytes(whole)
    assert verify(folder) == []


def test_shards_under_each_others_names(folder):
    for suffix in ("tar", "parquet", "json"):
        one, two = (folder / f"vif-train-{n:06d}.{suffix}" for n in (0, 1))
        one.rename(folder / "aside")
        two.rename(one)
        (folder / "aside").rename(two)
    assert [problem.split("/")[-1] for problem in verify(folder)] == [
        f"vif-train-00000{n}.json: is the done-marker of vif-train-00000{1 - n}.tar" for n in (0, 1)
    ]


def test_a_shard_of_another_run(folder):
    write_shard(ShardPath.of(folder, "vif", "train", 2), [sample(n) for n in (4, 5)], {"key": 2})
    tar = folder / "vif-train-000002.tar"
    assert verify(folder) == [f"{tar}: made with other options or photographs than vif-train-000000.tar"]


def test_keys_with_a_gap(folder):
    write_shard(ShardPath.of(folder, "vif", "train", 2), [sample(n) for n in (4, 6)], {"key": 1})
    assert verify(folder) == [f"{folder}/vif-train-000002.parquet: keys are not contiguous"]


@pytest.mark.parametrize("promise", [{"samples": 3}, {"failures": 1}, {"reasons": {"empty": 1}}])
def test_counts_that_are_not_those_of_the_table(folder, promise):
    vouch(folder / "vif-train-000001.json", **promise)
    assert verify(folder) == [f"{folder}/vif-train-000001.parquet: counts differ from vif-train-000001.json"]


def test_a_member_that_is_no_image_though_its_hash_is_right(folder):
    bad = [ShardSample(key_name(4), "p4", "vif", b"no image", sample(4).b, "png", {"seed": 4}), sample(5)]
    write_shard(ShardPath.of(folder, "vif", "train", 2), bad, {"key": 1})
    assert verify(folder) == [
        f"{folder}/vif-train-000002.tar: 000000004.a: is no image file: remove it, or save the image again"
    ]


def test_a_table_of_another_version_is_named(folder):
    table = folder / "vif-train-000001.parquet"
    pq.write_table(pq.read_table(table).drop_columns(["json_sha256"]), table)
    vouch(folder / "vif-train-000001.json", parquet_sha256=sha256_file(table))
    assert "vif-train-000001.parquet: has the columns of another version: make this shard again" in verify(folder)[0]
