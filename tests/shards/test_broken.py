"""Every way of breaking a shard is caught by verify; the reader names the shard that it cannot trust."""

import json
import shutil
import tarfile

import numpy as np
import pytest

from components.errors import UserError
from components.files import sha256_file
from components.images import encode_png
from components.shards.layout import ShardPath, key_name
from components.shards.reader import ShardPairs
from components.shards.verify import verify
from components.shards.writer import Sample, write_shard


@pytest.fixture
def folder(tmp_path):
    for index in range(3):
        path = ShardPath.of(tmp_path, "vif", "train", index)
        write_shard(path, [sample(2 * index + n) for n in range(2)], {"key": 1})
    return tmp_path


def sample(n):
    a, b = (encode_png(np.random.default_rng([n, side]).integers(0, 256, (16, 16), np.uint8)) for side in (0, 1))
    return Sample(key_name(n), f"p{n}", "vif", a, b, "png", {"seed": n})


def rebuilt(folder, change):
    """The second tar with its members changed, and a done-marker that vouches for it."""
    tar, done = folder / "vif-train-000001.tar", folder / "vif-train-000001.json"
    with tarfile.open(tar) as old:
        members = change([(m, old.extractfile(m).read()) for m in old])
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as new:
        for header, data in members:
            header.size = len(data)
            new.addfile(header, __import__("io").BytesIO(data))
    done.write_text(json.dumps(json.loads(done.read_text()) | {"sha256": sha256_file(tar)}))


def swap(members):
    (first, one), (second, two), *rest = members
    return [(first, two), (second, one), *rest]


def extra(members):
    header = tarfile.TarInfo("evil.pyd")
    return [*members, (header, b"x")]


@pytest.mark.parametrize("change", [swap, extra, lambda m: m[:-1], lambda m: m[1:]], ids=["swap", "extra", "no json", "no a"])
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
