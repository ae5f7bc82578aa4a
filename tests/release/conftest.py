"""Small shards with credits, and a release of them."""

import numpy as np
import pytest

from sigforge.core.images import encode_webp
from sigforge.release.build import ReleaseRequest, build_release
from sigforge.release.layout import ReleaseTitle
from sigforge.shards.layout import ShardPath, key_name
from sigforge.shards.writer import SampleFailure, ShardSample, write_shard

CC_BY = ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/")


def sample(n, licence=CC_BY, attribution=None, side=16):
    a, b = (
        encode_webp(np.random.default_rng([n, part]).integers(0, 256, shape, np.uint8))
        for part, shape in enumerate(((side, side), (side, side, 3)))
    )
    facts = {"task": "vif", "model": "f" * 64, "photo_sha256": f"{n // 2:064d}", "crop": n % 2, "subtask": "vif"}
    facts |= {"licence": licence[0], "licence_url": licence[1]}
    facts |= {"attribution": f"Jane Doe {n // 2}, s" if attribution is None else attribution}
    return ShardSample(key_name(n), f"s-{n // 2}", "vif", a, b, "webp", facts)


def write_shards(folder, count, *, per=3, failed=(), **options):
    """Shards of ``count`` samples, two of each photograph; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, start in enumerate(range(0, count, per)):
        numbers = range(start, min(start + per, count))
        samples = [
            SampleFailure(key_name(n), f"s-{n // 2}", "vif", "constant: grey") if n in failed else sample(n, **options)
            for n in numbers
        ]
        write_shard(ShardPath.of(folder, "vif", "train", index), samples, {"parameters": "1"})
    return folder


def request_for(folder, out, version="1.0.0", **options):
    return ReleaseRequest(ReleaseTitle("pairs", version), folder, out, **options)


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "shards", 8, failed=(4,))


@pytest.fixture
def release(shards, tmp_path):
    return build_release(request_for(shards, tmp_path / "out", creator="Us", date="2026-11-28", citation="@misc{x}"))


def contents_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
