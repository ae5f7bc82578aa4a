"""Streaming: every pair once, in an order that seed, epoch, world and workers decide, and nothing unchecked."""

import itertools
import multiprocessing
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.core.images import encode_png, encode_webp
from sigforge.shards import stream as read
from sigforge.shards.layout import ShardPath, key_name
from sigforge.shards.loader import ShardLoader
from sigforge.shards.pairs import read_rows
from sigforge.shards.stream import ShardDataset, buffered_order
from sigforge.shards.writer import SampleFailure, ShardSample, write_shard

SIZES = (7, 5, 6, 1, 9, 0, 8)
COUNT = sum(SIZES)
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


def pixels(n, side):
    shape = (16, 12) if side == "a" else (16, 12, 3)
    return np.random.default_rng([n, ord(side)]).integers(0, 256, shape, np.uint8)


def write(folder, encode=encode_webp, extension="webp"):
    numbers = itertools.count()
    for index, size in enumerate(SIZES):
        samples = [sample(next(numbers), encode, extension) for _ in range(size)]
        failures = [SampleFailure(f"{index:09d}", "f", "vif", "too_small: x")] if index % 2 else []
        write_shard(ShardPath.of(folder, "vif", "train", index), failures + samples, {"key": 1})
    return folder


def sample(n, encode, extension):
    return ShardSample(key_name(n), f"p{n}", "vif", encode(pixels(n, "a")), encode(pixels(n, "b")), extension, {"n": n})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("shards"))


def order(dataset):
    return [pair.facts["n"] for pair in dataset]


def batches(loader):
    return [[facts["n"] for facts in batch.facts] for batch in loader]


@pytest.mark.parametrize("size", [0, 1, 3, 8, 50])
def test_buffered_order_is_a_permutation_within_reach(size):
    given = list(buffered_order(20, size, np.random.default_rng(1)))
    assert sorted(given) == list(range(20))
    assert all(number <= turn + size for turn, number in enumerate(given))
    assert (given == list(range(20))) is (size == 0)


def test_a_large_buffer_shuffles_evenly():
    draws = [list(buffered_order(4, 4, np.random.default_rng(seed))) for seed in range(600)]
    counts = np.array([[sum(draw[turn] == n for draw in draws) for n in range(4)] for turn in range(4)])
    assert np.abs(counts - 150).max() < 45  # four standard deviations


@pytest.mark.parametrize(("encode", "extension"), [(encode_webp, "webp"), (encode_png, "png")])
def test_pixels_and_facts_come_back(tmp_path, encode, extension):
    write(tmp_path, encode, extension)
    for dtype, scale in ((torch.uint8, 1), (torch.float32, 255)):
        for pair in ShardDataset(tmp_path, dtype=dtype):
            n = pair.facts["n"]
            assert pair.facts["key"] == key_name(n) and pair.facts["photo_id"] == f"p{n}"
            assert pair.a.dtype == pair.b.dtype == dtype and pair.a.shape == pair.b.shape == (3, 16, 12)
            assert torch.equal((pair.a[1] * scale).round().to(torch.uint8), torch.from_numpy(pixels(n, "a")))
            assert torch.equal(
                (pair.b * scale).round().to(torch.uint8).permute(1, 2, 0), torch.from_numpy(pixels(n, "b"))
            )


def test_luma_is_one_plane(folder):
    pair = next(iter(ShardDataset(folder, colour="luma", buffer=0)))
    assert pair.a.shape == pair.b.shape == (1, 16, 12)
    assert torch.equal((pair.a[0] * 255).round().to(torch.uint8), torch.from_numpy(pixels(0, "a")))
    weights = pixels(0, "b") @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(pair.b[0] * 255, weights, atol=1e-3)


def test_order_is_that_of_seed_and_epoch(folder):
    dataset = ShardDataset(folder, seed=3, buffer=5)
    first, again = order(dataset), order(dataset)
    dataset.epoch = 1
    assert first == again != order(dataset)
    assert first != order(ShardDataset(folder, seed=4, buffer=5))
    assert sorted(first) == list(range(COUNT)) == order(ShardDataset(folder, buffer=0))
    assert len(dataset) == COUNT


@pytest.mark.parametrize("buffer", [0, 4])
@pytest.mark.parametrize(("world", "workers"), [(1, 3), (2, 1), (3, 2), (6, 2)])
def test_ranks_and_workers_share_without_overlap_or_loss(folder, buffer, world, workers):
    seen, lengths = [], []
    for rank in range(world):
        dataset = ShardDataset(folder, buffer=buffer, rank=rank, world=world)
        dataset.epoch = 2
        parts = [[pair.facts["n"] for pair in dataset.part(worker, workers)] for worker in range(workers)]
        assert len(dataset) == sum(map(len, parts))
        lengths.append(len(dataset))
        seen += itertools.chain(*parts)
    assert sorted(seen) == list(range(COUNT)) and min(lengths) > 0


def test_too_many_ranks_are_refused(folder):
    with pytest.raises(UserError, match="6 finished shards with pairs are too few for 7 ranks"):
        ShardDataset(folder, world=7)
    with pytest.raises(UserError, match="0 finished shards with pairs"):
        ShardDataset(folder / "none")


# A script, since workers are forked, and forks of a process in which Prefect has run end with exit code 1.
EPOCHS = """
import itertools, sys
from sigforge.shards.loader import ShardLoader
from sigforge.shards.stream import ShardDataset

folder, workers, drop_last, count = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True", int(sys.argv[4])

def loader():
    return ShardLoader(ShardDataset(folder, seed=1, buffer=4), batch=3, workers=workers, drop_last=drop_last)

def batches(loader):
    return [[facts["n"] for facts in batch.facts] for batch in loader]

whole = loader()
first, second = batches(whole), batches(whole)
assert first != second and len(first) == len(loader())
if drop_last:
    assert all(len(batch) == 3 for batch in first)
else:
    assert sorted(itertools.chain(*first)) == list(range(count))
for stop in (1, 5, len(first)):
    left = loader()
    iterator = iter(left)
    head = [[facts["n"] for facts in next(iterator).facts] for _ in range(stop)]
    state = left.state_dict()
    iterator.close()
    resumed = loader()
    resumed.load_state_dict(state)
    assert head + batches(resumed) == first
    assert stop > 1 or batches(resumed) == second
print("went on")
"""


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_where_it_was_left(folder, workers, drop_last):
    arguments = [sys.executable, "-c", EPOCHS, str(folder), str(workers), str(drop_last), str(COUNT)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stdout == "went on\n", done.stderr


def test_what_was_given_out_is_not_read_again(folder, monkeypatch):
    opened, original = [], read.opened
    monkeypatch.setattr(read, "opened", lambda tar: (opened.append(tar.name), original(tar))[1])
    assert len(list(ShardDataset(folder, buffer=0).part(0, 1, skip=7 + 5 + 1))) == COUNT - 13
    assert [name[-5] for name in opened] == ["2", "3", "4", "6"]


def test_a_position_of_another_plan_is_refused(folder):
    state = ShardLoader(ShardDataset(folder), batch=3).state_dict()
    for dataset, batch in (
        (ShardDataset(folder, seed=1), 3),
        (ShardDataset(folder), 4),
        (ShardDataset(folder, world=2), 3),
    ):
        with pytest.raises(
            UserError, match="the saved position belongs to other shards or another seed, buffer, world"
        ):
            ShardLoader(dataset, batch=batch).load_state_dict(state)
    ShardLoader(ShardDataset(folder, rank=0, world=1), batch=3).load_state_dict(state)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("part", ["a", "b", "json"])
def test_a_flipped_byte_is_one_line_that_names_the_shard(tmp_path, part, workers):
    write(tmp_path)
    shard = ShardPath.of(tmp_path, "vif", "train", 2)
    row = read_rows(shard)[3]
    data = bytearray(shard.tar.read_bytes())
    data[row[f"{part}_offset"] + 5] ^= 1
    shard.tar.write_bytes(data)
    with pytest.raises(UserError, match=rf"^{shard.tar}: {row['key']}.{part} is cut or altered: [^\n]*$"):
        batches(ShardLoader(ShardDataset(tmp_path), batch=2, workers=workers))


def test_every_way_of_cutting_a_tar_is_an_error(tmp_path):
    write(tmp_path)
    shard = ShardPath.of(tmp_path, "vif", "train", 0)
    whole = shard.tar.read_bytes()
    last = read_rows(shard)[-1]
    for kept in range(0, last["json_offset"] + last["json_size"], 331):
        shard.tar.write_bytes(whole[:kept])
        with pytest.raises(UserError, match=r"vif-train-000000.tar: 00000000\d.\w+ is cut or altered"):
            list(ShardDataset(tmp_path, buffer=0))


def test_other_files_of_a_shard_are_checked(tmp_path):
    write(tmp_path)
    shard, other = (ShardPath.of(tmp_path, "vif", "train", index) for index in (0, 4))
    whole = shard.table.read_bytes()
    shard.table.write_bytes(other.table.read_bytes())
    with pytest.raises(UserError, match=r"vif-train-000000.parquet: is not what the done-marker promises"):
        list(ShardDataset(tmp_path))
    shard.table.write_bytes(whole)
    shard.tar.unlink()
    with pytest.raises(UserError, match=r"vif-train-000000.tar: cannot be opened"):
        list(ShardDataset(tmp_path))
    shard.done.write_text("{}")
    with pytest.raises(UserError, match=r"vif-train-000000.json: damaged done-marker"):
        ShardDataset(tmp_path)


def test_nothing_but_images_and_json_is_decoded(tmp_path):
    """A pickle under the name of an image is no image."""
    bad = ShardSample(
        key_name(0), "p", "vif", b"\x80\x04cos\nsystem\n(S'false'\ntR.", encode_png(pixels(0, "b")), "png"
    )
    write_shard(ShardPath.of(tmp_path, "vif", "train", 0), [bad], {})
    with pytest.raises(UserError, match=r"vif-train-000000.tar:000000000.a: is no image file"):
        list(ShardDataset(tmp_path))


def test_workers_end_well_whatever_hooks_the_parent_has(folder, monkeypatch):
    """Prefect's exit hooks fail in a process that was forked."""
    hooks = [*threading._threading_atexits, lambda: 1 / 0]
    monkeypatch.setattr(threading, "_threading_atexits", hooks)
    loader = iter(ShardLoader(ShardDataset(folder), batch=4, workers=2))
    next(loader)
    workers = multiprocessing.active_children()
    assert len(list(loader)) > 0
    assert [worker.exitcode for worker in workers] == [0, 0]


@pytest.mark.parametrize("workers", [0, 1])
def test_over_s3(folder, s3, workers):
    write(s3.folder)
    here, there = (
        ShardLoader(ShardDataset(place, buffer=4), batch=4, workers=workers) for place in (folder, str(s3.folder))
    )
    assert batches(here) == batches(there)
    (s3.folder / "vif-train-000004.tar").unlink()
    with pytest.raises(UserError, match=r"s3://.*vif-train-000004.tar: cannot be opened \(missing\)"):
        batches(there)
