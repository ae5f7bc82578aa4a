"""What busy neighbours cost: ``python benchmarks/contention.py [--seconds 4]``.

Training (a PLGN's step), fusing (SigFusion on 256 x 256) and synthesis (a batch of planes through PLGN), each alone and
beside processes that keep a core busy, under four ways for OpenMP threads to wait. Prints Markdown; units a second.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WAYS = {
    "libgomp's default": {},
    "`OMP_WAIT_POLICY=PASSIVE`": {"OMP_WAIT_POLICY": "PASSIVE"},
    "`GOMP_SPINCOUNT=1000` (ours)": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"THREADS": "1"},
}
NEIGHBOURS = (0, 2, 4)
OURS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "THREADS")


def main() -> None:
    """Print a table per kind of work."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="measured per cell, after a warm-up")
    parser.add_argument("--work", choices=sorted(WORK), help="one kind only")
    parser.add_argument("--measure", choices=sorted(WORK), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(rate(WORK[options.measure](), options.seconds))
        return
    for work in [options.work] if options.work else WORK:
        print(table(work, options.seconds), flush=True)


def table(work: str, seconds: float) -> str:
    """Units a second of one kind of work: a row per way to wait, a column per number of neighbours."""
    head = f"| {work}, units/s | " + " | ".join(f"beside {n}" if n else "alone" for n in NEIGHBOURS) + " |"
    rows = [head, "|---|" + "---:|" * len(NEIGHBOURS)]
    for name, settings in WAYS.items():
        cells = [in_a_process(work, settings, count, seconds) for count in NEIGHBOURS]
        rows.append(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def in_a_process(work: str, settings: dict[str, str], neighbours: int, seconds: float) -> float:
    """The rate in a process of its own, whose OpenMP reads ``settings`` when it starts."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | settings
    if "OMP_WAIT_POLICY" not in settings and "GOMP_SPINCOUNT" not in settings:
        environment["KMP_BLOCKTIME"] = "200"  # libgomp does not know it: it only keeps ours from being set
    command = [sys.executable, __file__, "--measure", work, "--seconds", str(seconds)]
    with busy(neighbours):
        return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()


def rate(unit: Callable[[], None], seconds: float) -> float:
    """Units a second."""
    unit()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        unit()
        done += 1
    return done / (time.perf_counter() - start)


def training() -> Callable[[], None]:
    """A step of PLGN on 8 crops of 64, as the demo trains it."""
    torch, plgn = small_plgn()
    optimizer = torch.optim.Adam([value for value in plgn.parameters() if value.requires_grad], 1e-4)
    fused, real = torch.rand(2, 8, 1, 64, 64)

    def step() -> None:
        loss = plgn.loss(fused, real, "ir")
        optimizer.zero_grad(set_to_none=True)
        (loss.signal + loss.pixel).backward()
        optimizer.step()

    return step


def fusing() -> Callable[[], None]:
    """A pair of 256 x 256 through today's fusion network."""
    import torch

    from sigforge.methods.sigfusion.fusion import FusionNet
    from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig

    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    net, (a, b) = FusionNet(SigFormer(SigFormerConfig())).eval(), torch.rand(2, 1, 1, 256, 256)
    return lambda: net.fuse(a, b)


def synthesis() -> Callable[[], None]:
    """A plane of 256 x 256 through PLGN; stage ``synth`` gives every worker one thread, whatever is set."""
    torch, plgn = small_plgn()
    torch.set_num_threads(1)
    plane = torch.rand(1, 1, 256, 256)

    def modulate() -> None:
        with torch.inference_mode():
            plgn(plane, "ir")

    return modulate


def small_plgn():
    """PLGN of the default size for one modality, and torch with as many threads as the environment says."""
    import torch

    from sigforge.methods.sigfusion.plgn import Plgn
    from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig

    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    return torch, Plgn(SigFormer(SigFormerConfig()), ("ir",), "all")


WORK = {"training": training, "fusing": fusing, "synthesis": synthesis}

if __name__ == "__main__":
    main()
