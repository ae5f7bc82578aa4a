import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset as wds

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.images import encode_png, encode_webp
from sigforge.shards.layout import ShardPath, key_name, shards_in
from sigforge.shards.pairs import ShardPairs
from sigforge.shards.verify import verify
from sigforge.shards.writer import SampleFailure, ShardSample, finished, write_shard

KEY = {"parameters": "1", "inputs": "2"}


def picture(seed, channels=3):
    shape = (24, 20, 3) if channels == 3 else (24, 20)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def samples(count=5, extension="webp"):
    encode = {"webp": encode_webp, "png": encode_png}[extension]
    for index in range(count):
        if index == 2:
            yield SampleFailure(key_name(index), f"photo-{index}", "vif", "too small")
            continue
        a, b = encode(picture(index, 1)), encode(picture(100 + index))
        yield ShardSample(key_name(index), f"photo-{index}", "vif", a, b, extension, {"seed": index, "licence": "CC0"})


@pytest.fixture
def shard(tmp_path):
    path = ShardPath.of(tmp_path, "vif", "train", 0)
    write_shard(path, samples(), KEY)
    return path


def test_same_samples_same_bytes(tmp_path, shard):
    other = ShardPath.of(tmp_path / "again", "vif", "train", 0)
    write_shard(other, samples(), KEY)
    assert other.tar.read_bytes() == shard.tar.read_bytes()
    assert other.table.read_bytes() == shard.table.read_bytes()


def test_layout(shard):
    assert sorted(path.name for path in shard.tar.parent.iterdir()) == [
        "vif-train-000000.json",
        "vif-train-000000.parquet",
        "vif-train-000000.tar",
    ]
    with tarfile.open(shard.tar) as tar:
        assert tar.getnames()[:3] == ["000000000.a.webp", "000000000.b.webp", "000000000.json"]
        assert all(m.mtime == 0 and m.uid == 0 and m.uname == "" for m in tar)
        facts = json.load(tar.extractfile("000000001.json"))
    assert facts["licence"] == "CC0" and facts["photo_id"] == "photo-1"
    report = json.loads(shard.done.read_text())
    assert (report["samples"], report["failures"], report["key"]) == (4, 1, KEY)


def test_table_accounts_for_every_sample(shard):
    rows = pq.read_table(shard.table).to_pylist()
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "ok", "ok"]
    assert rows[2]["reason"] == "too small" and rows[2]["a_sha256"] is None


@pytest.mark.parametrize("extension", ["webp", "png"])
def test_reader_returns_the_pixels(tmp_path, extension):
    path = ShardPath.of(tmp_path, "vif", "train", 0)
    write_shard(path, samples(extension=extension), KEY)
    pairs = ShardPairs(tmp_path)
    assert len(pairs) == 4 and pairs.row(2)["photo_id"] == "photo-3"
    a, b = pairs[2]
    np.testing.assert_array_equal(np.rint(luma(a) * 255), picture(3, 1))
    np.testing.assert_array_equal(np.rint(b * 255), picture(103))


def test_webdataset_reads_it(shard):
    dataset = wds.WebDataset([str(shard.tar)], shardshuffle=False, nodesplitter=wds.split_by_node)
    read = list(dataset)
    assert [sample["__key__"] for sample in read] == [key_name(i) for i in (0, 1, 3, 4)]
    assert {"a.webp", "b.webp", "json"} <= set(read[0])


def test_finished_means_complete_and_of_this_key(shard):
    assert finished(shard, KEY).samples == 4
    assert finished(shard, KEY | {"parameters": "9"}) is None
    shard.tar.write_bytes(shard.tar.read_bytes()[:-512])
    assert finished(shard, KEY) is None
    shard.done.unlink()
    assert finished(shard, KEY) is None


def test_a_writer_that_dies_leaves_nothing(tmp_path):
    def dying():
        yield from samples(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(ShardPath.of(tmp_path, "vif", "train", 0), dying(), KEY)
    assert list(tmp_path.iterdir()) == []


def test_verify_finds_every_flipped_bit(shard):
    assert verify(shard.tar.parent) == []
    good = shard.tar.read_bytes()
    for position in range(0, len(good), 997):
        broken = bytearray(good)
        broken[position] ^= 1
        shard.tar.write_bytes(bytes(broken))
        assert verify(shard.tar.parent), position
    shard.tar.write_bytes(good)
    assert verify(shard.tar.parent) == []


def test_verify_names_missing_and_unfinished_shards(shard):
    folder = shard.tar.parent
    (folder / "vif-train-000001.tar").write_bytes(b"")
    assert any("000001.tar: no done-marker" in problem for problem in verify(folder))
    shard.tar.unlink()
    assert any("000000.tar: missing" in problem for problem in verify(folder))
    assert verify(folder / "empty")[0].endswith("no finished shard")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"text"'])
def test_verify_names_a_damaged_done_marker(shard, text):
    shard.done.write_text(text)
    assert verify(shard.tar.parent) == [f"{shard.done}: damaged done-marker"]


def test_no_shards_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no finished shard with a pair; run 'dvc repro synth@"):
        ShardPairs(tmp_path)
    assert shards_in(tmp_path) == []


def test_member_offsets_point_at_the_data(shard):
    row = pq.read_table(shard.table).to_pylist()[0]
    data = shard.tar.read_bytes()[row["b_offset"] : row["b_offset"] + row["b_size"]]
    with tarfile.open(fileobj=io.BytesIO(shard.tar.read_bytes())) as tar:
        assert tar.extractfile("000000000.b.webp").read() == data
