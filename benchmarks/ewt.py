"""Speed of the empirical wavelet transform: ours, the PyPI package ewtpy in a loop, and the bare Fourier transforms.

    python benchmarks/ewt.py --ewtpy /tmp/ewtpy          prints a Markdown table
    pip install --no-deps --target /tmp/ewtpy ewtpy      what it needs for the comparison, outside the environment

1,000 signals of 1,024 samples into 3 bands, detection included. All rows are measured in turns in one run; medians.
ewtpy has no inverse, so its row is analysis alone.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sigforge.core.device import machine
from sigforge.signal.ewt import ewt, iewt

SIGNALS, LENGTH, BANDS, SUBSET = 1000, 1024, 3, 60

Case = tuple[Callable[[], object], float]
"""What to time, and the factor that scales it to all signals."""


def main() -> None:
    """Measure and print."""
    options = parse()
    torch.set_num_threads(options.threads)
    signals = torch.from_numpy(np.random.default_rng(0).standard_normal((SIGNALS, LENGTH)))
    cases = our_cases(signals) | peer_case(signals.numpy(), options.ewtpy, SIGNALS if options.full else SUBSET)
    print(table(medians(cases, options.repeats), options.threads))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ewtpy", type=Path, default=Path("/tmp/ewtpy"), help="folder that ewtpy was installed into")
    parser.add_argument("--full", action="store_true", help=f"run ewtpy on all signals, not on {SUBSET} of them")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def our_cases(signals: Tensor) -> dict[str, Case]:
    """Ours in both precisions, its parts in single precision, and the bare transforms."""
    single = signals.float()
    parts = ewt(single, BANDS)
    timed = {
        "float32": lambda: iewt(ewt(single, BANDS)),
        "float64": lambda: iewt(ewt(signals, BANDS)),
        "float32, analysis": lambda: ewt(single, BANDS),
        "float32, analysis with given boundaries": lambda: ewt(single, BANDS, boundaries=parts.boundaries),
        "float32, synthesis": lambda: iewt(parts),
        "bare float32": lambda: torch.fft.irfft(torch.fft.rfft(single), n=LENGTH),
        "bare float64": lambda: torch.fft.irfft(torch.fft.rfft(signals), n=LENGTH),
    }
    return {name: (call, 1.0) for name, call in timed.items()}


def peer_case(signals: np.ndarray, folder: Path, count: int) -> dict[str, Case]:
    """``ewtpy`` over the first ``count`` signals; nothing where it is not installed."""
    sys.path.append(str(folder))
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        from ewtpy import EWT1D
    except ImportError:
        print(f"ewtpy is left out; to compare: pip install --no-deps --target {folder} ewtpy", file=sys.stderr)
        return {}
    name = "ewtpy" if count == len(signals) else f"ewtpy, {count} signals, scaled"
    return {name: (lambda: [EWT1D(signal, N=BANDS) for signal in signals[:count]], len(signals) / count)}


def medians(cases: dict[str, Case], repeats: int) -> dict[str, float]:
    """Median seconds of each case; the cases take turns, so that a busy moment hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats + 1):
        for name, (call, factor) in cases.items():
            start = time.perf_counter()
            call()
            taken[name].append(factor * (time.perf_counter() - start))
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def table(seconds: dict[str, float], threads: int) -> str:
    """Markdown: milliseconds and the ratios to ewtpy and to the bare transforms of the same precision."""
    peer = next((value for name, value in seconds.items() if name.startswith("ewtpy")), None)
    lines = [
        f"{machine()}, {threads} threads, torch {torch.__version__}: {SIGNALS:,} signals x {LENGTH:,}, {BANDS} bands",
        "",
        "| | ms | ewtpy takes | rfft + irfft of the same take |",
        "|---|---:|---:|---:|",
    ]
    for name, value in seconds.items():
        bare = seconds["bare float64" if "float64" in name or "ewtpy" in name else "bare float32"]
        against = f"{peer / value:.0f} x as long" if peer else ""
        lines.append(f"| {name} | {1000 * value:.1f} | {against} | 1/{value / bare:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
