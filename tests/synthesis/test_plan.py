"""The plan: every number once, in order, and the same in whatever pieces it is looked at."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigforge.dataset.hashes import fingerprint_of
from sigforge.dataset.tables import Photo, photo_table
from sigforge.synthesis.plan import plan

TERMS = ("s", "CC0", "", "", True, True)


def photos(count):
    return [Photo(f"p{n}", f"{n}.png", str(n), "0", 64, 64, 3, *TERMS) for n in range(count)]


def numbers(shards):
    return [(item.number, item.photo.photo_id, item.crop, item.refused) for shard in shards for item in shard.planned()]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 12), st.integers(1, 4), st.none() | st.integers(1, 40), st.sets(st.integers(0, 8))
)
def test_every_number_once_whatever_the_shard_size(count, shard_size, crops, pairs, refused):
    refused = {place: f"licence: {place}" for place in refused if place < count}
    shards = plan(photos(count), shard_size, refused, crops=crops, pairs=pairs)
    found = numbers(shards)
    assert found == [(n, f"p{n % count}", n // count, refused.get(n % count)) for n in range(shards.samples)]
    assert list(shards.sizes()) == [len(shard.photos) for shard in shards] and len(list(shards)) == len(shards)
    assert shards.allowed == sum(item[3] is None for item in found)
    most = (count - len(refused)) * crops
    assert shards.allowed == (most if pairs is None else min(pairs, most))
    if pairs and pairs < most:
        assert found[-1][3] is None or pairs % (count - len(refused)) == 0


def test_more_crops_go_behind():
    few, more = (numbers(plan(photos(5), 3, {1: "licence: x"}, crops=crops)) for crops in (2, 3))
    assert more[: len(few)] == few and len(more) == 15


def test_a_plan_travels_to_other_processes():
    shards = plan(photos(5), 2, {3: "licence: x"}, crops=2)
    assert numbers(pickle.loads(pickle.dumps(shards))) == numbers(shards)
    with pytest.raises(IndexError, match="shard 5 of 5"):
        shards[5]


@pytest.mark.parametrize("column", ["photo_id", "sha256", "licence", "author", "allows_derivatives", "height"])
def test_what_a_sample_takes_from_its_photograph_is_in_the_hash(column):
    table = photo_table(photos(3))
    rows = table.to_pylist()
    rows[1][column] = {str: "other", bool: False, int: 99}[type(rows[1][column])]
    assert fingerprint_of(table) != fingerprint_of(table.from_pylist(rows, schema=table.schema))
    moved = [row | {"path": "elsewhere"} for row in table.to_pylist()]
    assert fingerprint_of(table) == fingerprint_of(table.from_pylist(moved, schema=table.schema))
