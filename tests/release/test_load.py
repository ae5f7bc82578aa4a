"""A release is read by three libraries as its card says, and they agree."""

import contextlib
import json

import numpy as np
import pytest
import torch
import webdataset as wds

from sigforge.shards.loader import ShardLoader
from sigforge.shards.stream import ShardDataset


@pytest.fixture
def ours(release):
    loader = ShardLoader(ShardDataset(release, buffer=0, dtype=torch.uint8), batch=3)
    return [(a, b, one) for batch in loader for a, b, one in zip(*batch, strict=True)]


def same(image, tensor):
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), tensor.permute(1, 2, 0).numpy())


def test_hugging_face_datasets(release, ours, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: extra 'test'")
    with contextlib.chdir(release):
        rows = datasets.load_dataset(
            "webdataset", data_files="*.tar", split="train", streaming=True, cache_dir=str(tmp_path)
        )
        read = list(rows)
    assert [row["__key__"] for row in read] == [one["key"] for _, _, one in ours]
    for row, (a, b, one) in zip(read, ours, strict=True):
        same(row["a.webp"], a)
        same(row["b.webp"], b)
        assert row["json"]["photo_id"] == one["photo_id"]


def test_webdataset(release, ours):
    urls = sorted(str(path) for path in release.glob("*.tar"))
    read = list(wds.WebDataset(urls, shardshuffle=False).decode("pil", pre=[], post=[]))
    for row, (a, b, one) in zip(read, ours, strict=True):
        same(row["a.webp"], a)
        same(row["b.webp"], b)
        facts = row["json"] if isinstance(row["json"], dict) else json.loads(row["json"])
        assert facts["photo_id"] == one["photo_id"]
