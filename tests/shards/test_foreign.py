"""Other people's loaders read our shards: plain webdataset, and Hugging Face datasets, streaming or not; offline."""

import io
import json
import tarfile

import numpy as np
import PIL.Image
import pytest
import torch
import webdataset as wds

from sigforge.core.images import encode_png, encode_webp
from sigforge.shards.layout import ShardPath, key_name, shards_in
from sigforge.shards.stream import ShardDataset
from sigforge.shards.writer import ShardSample, write_shard

COUNT = 5
FACTS = ("a_sha256", "b_sha256", "licence", "n", "photo_id", "strength")


def sample(n, extension):
    encode = {"png": encode_png, "webp": encode_webp}[extension]
    rng = np.random.default_rng(n)
    a, b = (encode(rng.integers(0, 256, shape, np.uint8)) for shape in ((12, 10), (12, 10, 3)))
    facts = {"licence": "CC0", "n": n, "strength": 0.5 + n}
    return ShardSample(key_name(n), f"p{n}", "vif", a, b, extension, facts)


@pytest.fixture(scope="module", params=["png", "webp"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for index, numbers in enumerate((range(3), range(3, COUNT))):
        write_shard(ShardPath.of(folder, "vif", "train", index), [sample(n, request.param) for n in numbers], {})
    return folder


@pytest.fixture(scope="module")
def ours(folder):
    return list(ShardDataset(folder, buffer=0, dtype=torch.uint8))


def image(side, pair):
    return getattr(pair, side).permute(1, 2, 0).numpy()


def test_webdataset(folder, ours):
    urls = [str(shard.tar) for shard in shards_in(folder)]
    dataset = wds.WebDataset(urls, shardshuffle=False, nodesplitter=wds.split_by_node)
    # By default decode() also runs the pickles that it finds.
    decoders = (wds.imagehandler("rgb8"), wds.handle_extension("json", json.loads))
    read = list(dataset.decode(*decoders, pre=[], post=[]))
    assert [sample["__key__"] for sample in read] == [key_name(n) for n in range(COUNT)]
    for theirs, pair in zip(read, ours, strict=True):
        assert {"key": theirs["__key__"], **theirs["json"]} == pair.facts and set(theirs["json"]) == set(FACTS)
        for side in "ab":
            name = next(name for name in theirs if name.startswith(f"{side}."))
            np.testing.assert_array_equal(theirs[name], image(side, pair))


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face(folder, ours, streaming, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: extra 'test'")
    files = [str(shard.tar) for shard in shards_in(folder)]
    options = {"split": "train", "streaming": streaming, "cache_dir": str(tmp_path / "cache")}
    read = list(datasets.load_dataset("webdataset", data_files=files, **options))
    assert [row["__key__"] for row in read] == [key_name(n) for n in range(COUNT)]
    for theirs, pair in zip(read, ours, strict=True):
        assert {"key": theirs["__key__"], **theirs["json"]} == pair.facts
        for side in "ab":
            name = next(name for name in theirs if name.startswith(f"{side}."))
            assert isinstance(theirs[name], PIL.Image.Image)
            np.testing.assert_array_equal(np.asarray(theirs[name].convert("RGB")), image(side, pair))


def test_the_first_sample_tells_the_types_of_all(folder):
    """Hugging Face takes the columns from the first samples: names and types of facts never change."""
    kinds = {tuple((name, type(value)) for name, value in sorted(pair.facts.items())) for pair in ShardDataset(folder)}
    assert len(kinds) == 1


def test_an_image_is_what_its_extension_says(folder):
    with tarfile.open(shards_in(folder)[0].tar) as tar:
        for member in tar:
            if not member.name.endswith(".json"):
                with PIL.Image.open(io.BytesIO(tar.extractfile(member).read())) as opened:
                    assert opened.format.lower() == member.name.rsplit(".", 1)[-1]
