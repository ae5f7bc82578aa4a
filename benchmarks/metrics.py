"""Speed and memory of the metrics: ``python benchmarks/metrics.py [--pairs 10] [--threads 2]``.

Prints Markdown: the paper's six against the published code, the whole suite by ``sigforge score``, and the peak memory
of ``sigforge score`` over the number of images. The pictures are photographs inside scikit-image. CPU times of the
published code were measured elsewhere (GNU Octave, one 640x480 pair), and are scaled by
pixels.
"""

import argparse
import contextlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch

from sigforge.cli.score import score_inputs
from sigforge.core.device import machine
from sigforge.core.images import write_image
from sigforge.metrics import PAPER, get_metric, list_metrics, score

REFERENCE_SECONDS = {"q_g": 0.17, "q_m": 0.06, "q_p": 5.6, "mi": 5.3, "sd": 0.01, "vif_sum": 0.31}
REFERENCE_PIXELS = 640 * 480
SIDE, BATCH = 512, 8
MEMORY_PAIRS = (4, 16, 64)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10, help="of the whole suite; 100 are projected from them")
    parser.add_argument("--threads", type=int, default=2, help="of the six, and processes of the whole suite")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        score_folder(options.memory_of, "paper", 1)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]
    head = f"{machine()}, {options.threads} threads, torch {torch.__version__}, load {load:.1f} before the run\n"
    print(head, six(medians(six_cases(), options.repeats)), sep="\n", flush=True)
    print(suite(options.pairs, options.threads), flush=True)
    print(memory())


def six_cases() -> dict[str, Callable[[], object]]:
    """The six on a batch, together and one by one."""
    fused, a, b = (torch.from_numpy(image).expand(BATCH, 1, -1, -1).contiguous() for image in pictures(SIDE, SIDE))
    cases = {"together": lambda: score(fused, a, b, metrics=PAPER)}
    return cases | {name: lambda name=name: score(fused, a, b, metrics=(name,)) for name in PAPER}


def medians(cases: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median wall and CPU seconds of each case after a first turn; taking turns, a busy moment hits all alike."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(repeats + 1):
        for name, call in cases.items():
            taken[name].append(seconds(call))
    return {name: tuple(map(statistics.median, zip(*times[1:], strict=True))) for name, times in taken.items()}


def six(measured: dict[str, tuple[float, float]]) -> str:
    """Milliseconds per image, and how many times as long the published code takes."""
    scale = SIDE * SIDE / REFERENCE_PIXELS
    published = REFERENCE_SECONDS | {"together": sum(REFERENCE_SECONDS.values())}
    title = f"{SIDE}x{SIDE}, batch of {BATCH}, per image"
    heads = (title, "ms", "CPU ms", "published code, CPU ms", "ratio", "ratio of CPU")
    lines = [f"| {' | '.join(heads)} |", "|---|---:|---:|---:|---:|---:|"]
    for name, values in measured.items():
        symbol = "the six together" if name == "together" else get_metric(name).symbol
        (wall, cpu), theirs = (value / BATCH for value in values), published[name] * scale
        times = " | ".join(f"{1000 * value:.1f}" for value in (wall, cpu, theirs))
        lines.append(f"| {symbol} | {times} | {theirs / wall:.1f} | {theirs / cpu:.1f} |")
    return "\n".join([*lines, ""])


def suite(pairs: int, workers: int) -> str:
    """Seconds of ``sigforge score --metrics all`` on PNG files, start of the processes included."""
    wall, cpu = seconds(lambda: score_folder(pairs, "all", workers))
    count = sum(not get_metric(name).needs_reference for name in list_metrics())
    projected = "" if pairs == 100 else f", so {100 * wall / pairs:.0f} s ({100 * cpu / pairs:.0f} s) for 100"
    run = f"{count} metrics, pairs of 640x480, {workers} processes"
    return f"The whole suite, {run}: {wall:.0f} s ({cpu:.0f} s of CPU) for {pairs} pairs{projected}.\n"


def memory() -> str:
    """Peak memory of a process that scores the six on more and more pairs."""
    lines = ["| pairs of 640x480, the six | peak memory, MiB |", "|---:|---:|"]
    for pairs in MEMORY_PAIRS:
        command = [sys.executable, __file__, "--memory-of", str(pairs)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines.append(f"| {pairs} | {int(done.stdout.split()[-1]) / 1024:.0f} |")
    return "\n".join([*lines, ""])


def score_folder(pairs: int, metrics: str, workers: int) -> None:
    """Score so many fused PNG files of 640x480 as the command line does, its output thrown away."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary, name) for name in ("fused", "a", "b")}
        for n in range(pairs):
            for folder, image in zip(folders.values(), pictures(480, 640), strict=True):
                write_image(folder / f"{n:04}.png", np.roll(image, 7 * n, axis=1))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            score_inputs(folders["a"], folders["b"], [folders["fused"]], metrics=metrics, workers=workers)


def pictures(height: int, width: int) -> list[np.ndarray]:
    """Fused image and two sources, (H, W) in [0, 1]: two photographs and their mean."""
    a, b = (
        cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        for photograph in (skimage.data.camera(), skimage.data.moon())
    )
    return [(a + b) / 2, a, b]


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """How long ``call`` takes by the clock, and of CPU time in this process and those it started."""
    before, start = os.times(), time.perf_counter()
    call()
    wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[:4]) - sum(before[:4])


if __name__ == "__main__":
    main()
