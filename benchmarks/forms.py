"""What every form of the fusion network costs: parameters, multiply-adds a pixel, CPU seconds and memory at 640x480.

    python benchmarks/forms.py [--size 480 640]

Each is measured in a process of its own, one thread, after a first pass that is not counted; memory is the largest
resident set less that of the process before the network was built.
"""

import argparse
import resource
import subprocess
import sys
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from sigforge.methods.sigfusion.fusion import FusionConfig, build_fusion
from sigforge.methods.systems.select.network import SelectFusion

SMALL = (128, 160)
"""Height and width at which multiply-adds are counted; they are per pixel."""
CASES = {"head alone": None} | {
    f"{form}, {head}": FusionConfig(form=form, head=head)
    for form in ("tokens", "full", "released")
    for head in ("none", "select")
}


def megabytes() -> float:
    """Largest resident set of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, size: tuple[int, int]) -> str:
    """One row of the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    before, config = megabytes(), CASES[name]
    net = (SelectFusion() if config is None else build_fusion(config)).eval()
    sources = torch.rand(2, 1, 1, *size)
    small = sources[..., : SMALL[0], : SMALL[1]]
    with FlopCounterMode(display=False) as counter:
        net.fuse(*small)
    work = counter.get_total_flops() / 2 / (SMALL[0] * SMALL[1])
    net.fuse(*sources)
    start = time.process_time()
    net.fuse(*sources)
    seconds = time.process_time() - start
    count = sum(value.numel() for value in net.parameters())
    return f"| {name} | {count:,} | {work:,.0f} | {seconds:.2f} | {megabytes() - before:.0f} |"


def main() -> None:
    """The table, a process a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"))
    parser.add_argument("--only", choices=CASES, help="one row, in this process")
    options = parser.parse_args()
    if options.only:
        print(measure(options.only, tuple(options.size)))
        return
    print("| form, head | parameters | multiply-adds a pixel | CPU s | MB |\n|---|---:|---:|---:|---:|")
    for name in CASES:
        command = [sys.executable, __file__, "--only", name, "--size", *map(str, options.size)]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
