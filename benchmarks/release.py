"""Releases: what publishing adds to reading the shards, verify against sha256sum, importing without decoding.

    python benchmarks/release.py [--pairs 3000] [--files 100000]

On a busy machine wall times say little, so CPU seconds of the process, threads included, stand beside them; the least
of three runs counts.
"""

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sigforge.core.images import encode_webp
from sigforge.dataset.catalogue.entry import entry_of
from sigforge.dataset.catalogue.reading import read_dataset
from sigforge.release.build import ReleaseRequest, build_release
from sigforge.release.layout import ReleaseTitle
from sigforge.release.verify import verify_release
from sigforge.shards.layout import ShardPath, key_name
from sigforge.shards.verify import verify
from sigforge.shards.writer import ShardSample, write_shard

PER_SHARD, SIDE, RUNS = 500, 256, 3


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [*releases(Path(folder), options.pairs), importing(Path(folder) / "data", options.files)]
    print("\n".join(["| what | wall s | CPU s |", "|---|---:|---:|", *rows]))


def releases(folder: Path, pairs: int) -> list[str]:
    """Reading the shards once with verify, publishing them, checking the release, and sha256sum of the same files."""
    shards = made_up_shards(folder / "shards", pairs)
    size = sum(path.stat().st_size for path in shards.iterdir()) / 1e6
    published = iter(range(RUNS))

    def publish() -> None:
        build_release(ReleaseRequest(ReleaseTitle("pairs", f"1.0.{next(published)}"), shards, folder))

    def sums() -> None:
        subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder / "pairs-1.0.0", check=True)

    return [
        row(f"reading {size:.0f} MB of shards once (verify without decoding)", lambda: verify(shards, decode=False)),
        row("publishing them", publish),
        row("sigforge verify of the release", lambda: verify_release(folder / "pairs-1.0.0")),
        row("sha256sum -c of the release", sums),
    ]


def importing(root: Path, files: int) -> str:
    """Recognising, pairing and splitting empty files of MSRS's layout."""
    for split, share in (("train", 3), ("test", 1)):
        for side in ("ir", "vi"):
            (root / split / side).mkdir(parents=True)
            for number in range(files * share // 8):
                (root / split / side / f"{number:05d}D.png").touch()
    return row(f"importing {files} files by rule, without decoding", lambda: read_dataset(entry_of("msrs"), root))


def row(name: str, work: Callable[[], object]) -> str:
    """A line of the table."""
    measured = [timed(work) for _ in range(RUNS)]
    return f"| {name} | {min(wall for wall, _ in measured):.2f} | {min(cpu for _, cpu in measured):.2f} |"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds, children included."""
    started, before = time.perf_counter(), cpu_seconds()
    work()
    return time.perf_counter() - started, cpu_seconds() - before


def cpu_seconds() -> float:
    """Of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def made_up_shards(folder: Path, pairs: int) -> Path:
    """Shards of noise that is as large as a photograph's pair."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIDE, SIDE // 8, 3), np.uint8).repeat(8, axis=1)
    image = encode_webp(noise)
    facts = {"task": "vif", "subtask": "vif", "model": "f" * 64, "photo_sha256": "0" * 64, "crop": 0}
    facts |= {"licence": "CC BY 4.0", "licence_url": "https://creativecommons.org/licenses/by/4.0/"}
    for index, start in enumerate(range(0, pairs, PER_SHARD)):
        numbers = range(start, min(start + PER_SHARD, pairs))
        samples = (
            ShardSample(key_name(n), f"s-{n}", "vif", image, image, "webp", facts | {"attribution": "Jane Doe, s"})
            for n in numbers
        )
        write_shard(ShardPath.of(folder, "vif", "train", index), samples, {"parameters": "1"})
    return folder


if __name__ == "__main__":
    main()
