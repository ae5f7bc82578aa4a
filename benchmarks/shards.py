"""Speed of shards: writing them against GNU tar, reading them against plain webdataset.

    python benchmarks/shards.py                     prints Markdown tables
    python benchmarks/shards.py --folder /data/x    on that disk; a temporary folder otherwise

Writing: pairs of images encoded beforehand lie as files in a folder; our writer reads them and makes tar, table and
done-marker, with every sha256, on the disk before it returns. GNU tar packs the very members, once leaving them in the
page cache as it does, once flushed to the disk as ours are. Reading: the same tar by ``ShardDataset`` (every hash
checked) and by webdataset, both decoding with the same function to float tensors. Cases take turns; medians, and
ratios from within a round.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from skimage import data

from sigforge.core.device import machine
from sigforge.core.images import decode_bytes, encode_webp
from sigforge.shards.layout import ShardPath, key_name
from sigforge.shards.stream import ShardDataset
from sigforge.shards.writer import ShardSample, write_shard

SIDE = 256
FACTS = {
    "attribution": "Somebody With A Name, mirflickr25k",
    "licence": "CC-BY-2.0",
    "model": "f" * 64,
    "photo_sha256": "e" * 64,
    "seed": 1234567890123456789,
    "subtask": "vif",
    "task": "vif",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where files are made; removed afterwards")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        writing = Writing(Path(folder), options.pairs)
        # What one case leaves unwritten, the next would wait for.
        written = take_turns(writing.cases(), options.repeats, before=os.sync)
        read = take_turns(reading_cases(writing.shard), options.repeats)
    size = f"{options.pairs:,} pairs, {writing.size / 1e6:.0f} MB"
    print(f"{machine()}, {size}, {options.repeats} rounds\n")
    print(table("writing", written, writing.size, dict.fromkeys(("GNU tar, flushed", "GNU tar"), "write_shard")))
    shuffled = {"webdataset": "ShardDataset", "webdataset, shuffle(256)": "ShardDataset, buffer 256"}
    print(f"\n{table('reading', read, writing.size, shuffled)}")


class Writing:
    """Members as files, and the ways to pack them."""

    def __init__(self, folder: Path, pairs: int) -> None:
        self.members, self.out, self.pairs = folder / "members", folder / "out", pairs
        self.tar, self.list = folder / "gnu.tar", folder / "list"
        self.shard = ShardPath.of(self.out, "vif", "train", 0)
        self.members.mkdir()
        for number, (a, b) in zip(range(pairs), images(), strict=False):
            for side, encoded in (("a", a), ("b", b)):
                (self.members / f"{key_name(number)}.{side}.webp").write_bytes(encoded)
        self.ours()
        self._same_members()
        self.size = self.shard.tar.stat().st_size

    def cases(self) -> dict[str, Callable[[], None]]:
        """Ours first."""
        return {"write_shard": self.ours, "GNU tar, flushed": self.gnu_flushed, "GNU tar": self.gnu}

    def ours(self) -> None:
        """Tar, table and done-marker."""
        shutil.rmtree(self.out, ignore_errors=True)
        write_shard(self.shard, self._samples(), {})

    def gnu(self) -> None:
        """The same members in the same order and format."""
        self.tar.unlink(missing_ok=True)
        subprocess.run(["tar", "--format=ustar", "-cf", self.tar, "-C", self.members, "-T", self.list], check=True)

    def gnu_flushed(self) -> None:
        """As durable as ours."""
        self.gnu()
        for path in (self.tar, self.tar.parent):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def _samples(self) -> Iterator[ShardSample]:
        for number in range(self.pairs):
            key = key_name(number)
            a, b = ((self.members / f"{key}.{side}.webp").read_bytes() for side in "ab")
            yield ShardSample(key, f"photo-{number}", "vif", a, b, "webp", FACTS)

    def _same_members(self) -> None:
        """Our JSON members become files as well, and the list tar works through."""
        names = []
        for sample in wds.WebDataset([str(self.shard.tar)], shardshuffle=False):
            (self.members / f"{sample['__key__']}.json").write_bytes(sample["json"])
            names += [f"{sample['__key__']}.{part}" for part in ("a.webp", "b.webp", "json")]
        self.list.write_text("\n".join(names))


def images() -> Iterator[tuple[bytes, bytes]]:
    """Encoded pairs without end: a grey and a coloured crop of photographs, some twenty kinds of each."""
    rng = np.random.default_rng(0)
    photographs = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    kinds = []
    for number in range(20):
        photograph = photographs[number % len(photographs)]
        top, left = (int(rng.integers(side - SIDE + 1)) for side in photograph.shape[:2])
        crop = photograph[top : top + SIDE, left : left + SIDE]
        kinds.append((encode_webp(crop.mean(2).astype(np.uint8)), encode_webp(crop)))
    while True:
        yield kinds[rng.integers(len(kinds))]


def reading_cases(shard: ShardPath) -> dict[str, Callable[[], None]]:
    """Ours first; every case drops what it has decoded."""
    return {
        "ShardDataset": lambda: count(ShardDataset(shard.tar.parent, buffer=0)),
        "webdataset": lambda: count(plain(shard)),
        "ShardDataset, buffer 256": lambda: count(ShardDataset(shard.tar.parent)),
        "webdataset, shuffle(256)": lambda: count(plain(shard, 256)),
    }


def plain(shard: ShardPath, shuffle: int = 0) -> Iterator[tuple]:
    """Plain webdataset with our decoder: nothing is checked."""
    dataset = wds.WebDataset([str(shard.tar)], shardshuffle=False, nodesplitter=wds.split_by_node)
    dataset = dataset.shuffle(shuffle) if shuffle else dataset
    return iter(dataset.to_tuple("a.webp", "b.webp", "json").map_tuple(tensor, tensor, json.loads))


def tensor(encoded: bytes) -> torch.Tensor:
    """(3, H, W), float32 in [0, 1]."""
    return torch.from_numpy(decode_bytes(encoded, "")[0]).permute(2, 0, 1).contiguous()


def count(items: Iterator) -> int:
    """Run through, keep nothing."""
    return sum(1 for _ in items)


def take_turns(
    cases: dict[str, Callable[[], None]], repeats: int, *, before: Callable[[], None] = lambda: None
) -> dict[str, list[tuple[float, float]]]:
    """Clock and CPU seconds of every round, child processes included; a first round warms up."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for number in range(repeats + 1):
        for name, case in cases.items():
            before()
            started, busy = time.perf_counter(), cpu_seconds()
            case()
            if number:
                taken[name].append((time.perf_counter() - started, cpu_seconds() - busy))
    return taken


def cpu_seconds() -> float:
    """Of this process and its finished children."""
    return sum(os.times()[:4])


def table(title: str, taken: dict[str, list[tuple[float, float]]], size: int, ours_for: dict[str, str]) -> str:
    """Medians; for a peer also our speed as a share of its own, the median over rounds, by clock and by CPU time."""
    rows = [f"| {title} | s | CPU s | MB/s | our speed | by CPU time |", "|---|---:|---:|---:|---:|---:|"]
    for name, rounds in taken.items():
        clock, busy = (statistics.median(values) for values in zip(*rounds, strict=True))
        shares = ["", ""]
        if ours := taken.get(ours_for.get(name, "")):
            ratios = [(peer[0] / own[0], peer[1] / own[1]) for peer, own in zip(rounds, ours, strict=True)]
            shares = [f"{100 * statistics.median(values):.0f} %" for values in zip(*ratios, strict=True)]
        rows.append(f"| {name} | {clock:.2f} | {busy:.2f} | {size / 1e6 / clock:.0f} | {shares[0]} | {shares[1]} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
