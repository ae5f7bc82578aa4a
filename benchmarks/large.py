"""Peak memory and time of commands on large images: ``python -m benchmarks.large [score] [fuse:gff] ...``.

Every command runs in a process of its own on one made pair, at 6 and at 24 megapixels (the latter 5312 x 3552), on one
thread. Time linear in pixels is a ratio of about 4.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sigforge.core.images import write_image

SIZES = {"6 MP": (1776, 2656), "24 MP": (3552, 5312)}
DEFAULT = ("score", "fuse:gff", "fuse:laplacian", "fuse:mertens", "fuse:dtcwt", "fuse:gtf")


def make_pair(folder: Path, height: int, width: int) -> None:
    """Write an infrared, a visible and a fused image with detail at many scales."""
    rng = np.random.default_rng(0)
    y, x = (np.arange(side, dtype=np.float32) for side in (height, width))
    waves = np.sin(x / 37 + 5 * np.sin(y / 411)[:, None]) * np.cos(y / 29)[:, None] / 4 + 0.5
    for name, shift in (("ir", 0), ("vis", 211), ("fused", 97)):
        noise = rng.random((height, width), np.float32) / 8
        write_image(folder / name / "1.png", (np.roll(waves, shift, 1) + noise).clip(0, 1))


def measured(arguments: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds, and GB at the peak, of one command.

    Args:
        arguments: of ``sigforge``.
        folder: where it runs.

    Raises:
        RuntimeError: the command fails.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sigforge.cli", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(arguments)}: status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def arguments_of(name: str) -> list[str]:
    """The command line behind a name, ``score`` or ``fuse:METHOD`` or ``score:METRICS``."""
    command, _, what = name.partition(":")
    if command == "score":
        return ["score", "--a", "ir", "--b", "vis", "--fused", "fused", "--metrics", what or "paper"]
    return ["fuse", "ir", "vis", "-o", "out", "--task", "mef" if what == "mertens" else "vif", "--model", what]


def main(names: list[str]) -> None:
    """Print a table of the commands."""
    print("| command | pixels | CPU seconds | GB at the peak |\n|---|---|---:|---:|")
    with tempfile.TemporaryDirectory() as place:
        for label, (height, width) in SIZES.items():
            make_pair(Path(place) / label, height, width)
        for name in names or DEFAULT:
            for label in SIZES:
                seconds, peak = measured(arguments_of(name), Path(place) / label)
                print(f"| `{name}` | {label} | {seconds:.0f} | {peak:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
