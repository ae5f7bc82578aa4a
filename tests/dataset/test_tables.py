import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.dataset.hashes import phash
from sigforge.dataset.splits import assign_splits
from sigforge.dataset.tables import (
    PAIRS,
    PHOTOS,
    QUARANTINE,
    Pair,
    Photo,
    Quarantined,
    read_pairs,
    read_photos,
    read_quarantine,
    write_table,
)
from sigforge.dataset.tasks import MODALITIES, SPLITS, TASKS, modalities

ROOT = Path(__file__).parents[2]
REPEATABLE = settings(derandomize=True, database=None, deadline=None)
FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def pair(number, **changes):
    record = Pair(
        pair_id=f"scene-{number:03}",
        task="vif",
        subtask="vif",
        split=SPLITS[number % 3],
        a_path=f"a/{number}.png",
        b_path=f"b/{number}.png",
        a_sha256=f"{number:064x}",
        b_sha256=f"{number + 1:064x}",
        height=48,
        width=64,
        a_channels=1,
        b_channels=3,
        source="scene",
        licence="CC0-1.0",
    )
    return dataclasses.replace(record, **changes)


def photo(number):
    return Photo(f"p-{number}", "x.png", "0" * 64, "f" * 16, 4, 5, 3, "s", "CC0-1.0", "", "", True, False)


def test_columns_are_the_contract():
    assert (
        PAIRS.names
        == (
            "pair_id task subtask split a_path b_path a_sha256 b_sha256 height width a_channels b_channels source licence"
        ).split()
    )
    assert (
        PHOTOS.names
        == (
            "photo_id path sha256 phash height width channels source licence licence_url author "
            "allows_derivatives allows_commercial"
        ).split()
    )
    assert QUARANTINE.names == ["path", "stage", "reason", "detail"]
    assert PHOTOS.field("allows_commercial").type == pa.bool_() and PAIRS.field("height").type == pa.int32()


def test_tasks_and_modalities():
    assert TASKS == ("vif", "mif", "mfif", "mef")
    assert modalities("vif") == modalities("vif", "vif") == ("ir", "vis")
    assert modalities("mif", "mri-ct") == ("ct", "mri") and modalities("mif", "mri-spect") == ("spect", "mri")
    assert modalities("mfif") == ("near", "far") and modalities("mef") == ("under", "over")
    assert all(len(names) == 2 for subtasks in MODALITIES.values() for names in subtasks.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("xyz",), "task 'xyz' is unknown: choose one of vif, mif, mfif, mef"),
        (("mif",), "subtask None of task 'mif' is unknown: choose one of mri-ct, mri-pet, mri-spect"),
        (("vif", "mri-ct"), "subtask 'mri-ct' of task 'vif' is unknown: choose one of vif"),
    ],
)
def test_unknown_modalities(arguments, message):
    with pytest.raises(UserError) as caught:
        modalities(*arguments)
    assert str(caught.value) == message


def test_round_trip_sorted_by_id(tmp_path):
    pairs = [pair(n) for n in range(9)]
    write_table(reversed(pairs), tmp_path / "pairs.parquet", PAIRS)
    assert read_pairs(tmp_path / "pairs.parquet") == pairs
    assert read_pairs(tmp_path / "pairs.parquet", "val") == pairs[1::3]
    photos = [photo(n) for n in range(3)]
    write_table(photos[::-1], tmp_path / "photos.parquet", PHOTOS)
    assert read_photos(tmp_path / "photos.parquet") == photos
    bad = [Quarantined("b.png", "ingest", "empty", "é"), Quarantined("a.png", "ingest", "constant", "x")]
    write_table(bad, tmp_path / "quarantine.parquet", QUARANTINE)
    assert read_quarantine(tmp_path / "quarantine.parquet") == bad[::-1]


def test_empty_tables(tmp_path):
    write_table([], tmp_path / "quarantine.parquet", QUARANTINE)
    assert read_quarantine(tmp_path / "quarantine.parquet") == []


def test_same_records_same_bytes(tmp_path):
    pairs = [pair(n) for n in range(50)]
    write_table(pairs, tmp_path / "one.parquet", PAIRS)
    write_table(pairs[::-1], tmp_path / "two.parquet", PAIRS)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert b"pandas" not in (tmp_path / "one.parquet").read_bytes()
    code = "import sys, test_tables as t; t.write_table([t.pair(n) for n in range(50)], sys.argv[1], t.PAIRS)"
    environment = {
        "PYTHONPATH": f"{ROOT / 'components'}:{ROOT / 'tests/dataset'}",
        "PYTHONHASHSEED": "7",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    subprocess.run([sys.executable, "-c", code, tmp_path / "three.parquet"], env=environment, check=True)
    assert sha256_file(tmp_path / "three.parquet") == sha256_file(tmp_path / "one.parquet")
    write_table([*pairs[:-1], dataclasses.replace(pairs[-1], width=65)], tmp_path / "two.parquet", PAIRS)
    assert sha256_file(tmp_path / "two.parquet") != sha256_file(tmp_path / "one.parquet")


def test_failed_write_leaves_the_old_table(tmp_path):
    path = tmp_path / "pairs.parquet"
    write_table([pair(1)], path, PAIRS)
    with pytest.raises(pa.ArrowInvalid):
        write_table([pair(1), pair(2, source=None)], path, PAIRS)
    assert read_pairs(path) == [pair(1)] and [p.name for p in tmp_path.iterdir()] == ["pairs.parquet"]


def test_doubled_key(tmp_path):
    with pytest.raises(UserError, match=r"pairs.parquet: pair_id 'scene-001' appears twice: give each source"):
        write_table([pair(1), pair(2), pair(1, width=9)], tmp_path / "pairs.parquet", PAIRS)
    twice = [Quarantined("a", "ingest", "empty", "")] * 2
    write_table(twice, tmp_path / "quarantine.parquet", QUARANTINE)
    assert read_quarantine(tmp_path / "quarantine.parquet") == twice
    assert [path.name for path in tmp_path.iterdir()] == ["quarantine.parquet"]


def test_another_schema_may_hold_nulls(tmp_path):
    @dataclasses.dataclass
    class Row:
        key: int
        note: str | None

    schema = pa.schema([("key", pa.int64()), ("note", pa.string())])
    write_table([Row(2, None), Row(10, "b"), Row(2, "a")], tmp_path / "t.parquet", schema)
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == {"key": [2, 2, 10], "note": [None, "a", "b"]}


def test_wrong_columns_are_named(tmp_path):
    path = tmp_path / "pairs.parquet"
    table = pa.Table.from_pylist([vars(pair(1))], schema=PAIRS)
    changed = table.drop_columns(["task"]).append_column("mood", pa.array([1.0]))
    changed = changed.set_column(changed.schema.names.index("height"), "height", pa.array(["48"]))
    pq.write_table(changed, path)
    with pytest.raises(UserError) as caught:
        read_pairs(path)
    assert str(caught.value) == (
        f"{path}: wrong columns: height (int32 expected, string found), mood (nothing expected, double found), "
        "task (string expected, nothing found): write it again with this version"
    )


def test_unreadable_tables(tmp_path):
    with pytest.raises(UserError, match=r"none.parquet: no such table: run the stage that writes it first"):
        read_pairs(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UserError, match=r"text.parquet: not a readable Parquet table"):
        read_photos(tmp_path / "text.parquet")
    write_table([pair(1)], tmp_path / "pairs.parquet", PAIRS)
    with pytest.raises(UserError, match=r"split 'validation' is unknown: choose one of train, val, test"):
        read_pairs(tmp_path / "pairs.parquet", "validation")


def ids(count):
    return [f"id-{n}" for n in range(count)]


def test_splits_partition_and_have_the_asked_sizes():
    splits = assign_splits(ids(1000), FRACTIONS, seed=1)
    assert {name: len(members) for name, members in splits.items()} == {"train": 700, "val": 100, "test": 200}
    assert sorted(name for members in splits.values() for name in members) == sorted(ids(1000))
    assert all(members == sorted(members) for members in splits.values())


def test_splits_depend_on_ids_and_seed_alone():
    splits = assign_splits(ids(50), FRACTIONS, seed=1)
    assert assign_splits(reversed(ids(50)), dict(reversed(FRACTIONS.items())), seed=1) == splits
    assert assign_splits(ids(50), FRACTIONS, seed=2) != splits
    ranked = sorted(ids(50), key=lambda name: hashlib.sha256(f"1:{name}".encode()).digest())
    assert splits == {"test": sorted(ranked[:10]), "val": sorted(ranked[10:15]), "train": sorted(ranked[15:])}


def where(splits):
    return {name: split for split, members in splits.items() for name in members}


def test_new_ids_move_old_ones_only_near_the_cuts():
    before, after = (where(assign_splits(ids(n), FRACTIONS, seed=3)) for n in (500, 550))
    moved = [name for name, split in before.items() if after[name] != split]
    assert len(moved) <= 25


def test_moving_the_cut_between_val_and_train_leaves_test_alone():
    one = assign_splits(ids(60), {"train": 0.7, "val": 0.1, "test": 0.2}, seed=1)
    two = assign_splits(ids(60), {"train": 0.5, "val": 0.3, "test": 0.2}, seed=1)
    assert one["test"] == two["test"] and set(one["val"]) < set(two["val"])


@REPEATABLE
@given(st.integers(3, 40), st.integers(1, 12), st.integers(0, 99))
def test_groups_stay_together_and_no_split_is_empty(count, group_count, seed):
    groups = {name: f"photo-{n % group_count}" for n, name in enumerate(ids(count))}
    splits = assign_splits(ids(count), FRACTIONS, seed, groups)
    home = {}
    for name, split in where(splits).items():
        assert home.setdefault(groups[name], split) == split
    assert sum(map(bool, splits.values())) == min(3, len(set(groups.values())))
    assert len(where(splits)) == count


def test_splits_not_asked_for_stay_empty():
    for spare in (1 - 0.1 - 0.9, 1e-17):
        splits = assign_splits(ids(10), {"train": spare, "val": 0.1, "test": 0.9}, seed=0)
        assert [len(splits[name]) for name in SPLITS] == [0, 1, 9]
    assert assign_splits(ids(5), {"train": 1.0, "val": 0.0}, seed=0) == {"train": ids(5), "val": []}
    assert assign_splits([], FRACTIONS, seed=0) == {"train": [], "val": [], "test": []}
    assert assign_splits(["a"], FRACTIONS, seed=0) == {"train": ["a"], "val": [], "test": []}


@pytest.mark.parametrize("fractions", [{"train": 0.5, "test": 0.4}, {"train": 1.2, "val": -0.2}, {}])
def test_fractions_must_sum_to_one(fractions):
    with pytest.raises(UserError, match="must be non-negative and sum to 1"):
        assign_splits(ids(4), fractions, seed=0)


def test_unknown_split_name():
    with pytest.raises(UserError, match="split 'dev' is unknown: choose from train, val, test"):
        assign_splits(ids(4), {"train": 0.5, "dev": 0.5}, seed=0)


def scene(seed):
    coarse = np.random.default_rng(seed).random((6, 8, 3))
    return np.kron(coarse, np.ones((16, 16, 1))).astype(np.float32)


def distance(a, b):
    return (int(phash(a), 16) ^ int(phash(b), 16)).bit_count()


def test_phash_is_64_bits_and_survives_small_changes():
    image = scene(0)
    assert len(phash(image)) == 16
    assert phash(image * 0.9) == phash(image)
    noisy = (image + np.random.default_rng(1).normal(0, 0.02, image.shape)).clip(0, 1).astype(np.float32)
    assert distance(image, noisy) <= 4
    assert distance(image, image[::2, ::2]) <= 4
    assert min(distance(image, scene(seed)) for seed in range(1, 20)) >= 12


def test_phash_of_flat_images_is_stable():
    assert phash(np.full((40, 40), 0.3)) == phash(np.full((90, 70, 3), 0.7, np.float32)) == "8" + "0" * 15
