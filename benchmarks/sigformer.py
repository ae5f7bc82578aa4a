"""Where SigFormer's time and memory go: ``python benchmarks/sigformer.py [--batch 16] [--threads 2]``.

Prints Markdown. Every figure comes from one run on this machine; parts are timed inside the same forward passes, so
their shares add up to the whole.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from sigforge.core.device import machine
from sigforge.methods.sigfusion import sigformer
from sigforge.methods.sigfusion.blocks import Attention, Embedding, Mlp, PatchesToImage, ToMap, ToSignals
from sigforge.methods.sigfusion.sigformer import DecomposerLevel, SigFormer, SigFormerConfig

PARTS = {
    Attention: "attention",
    Mlp: "MLP",
    ToSignals: "map to signals",
    ToMap: "signals to map",
    Embedding: "embedding",
    PatchesToImage: "to image",
}
SIDES = (256, 512, 1024)


def main() -> None:
    """Time the parts at 256 x 256, then peak memory at growing sizes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of is not None:
        print(peak_memory(options.memory_of))
        return
    print(
        f"SigFormer, decompose and reconstruct, on {machine()}, {options.threads} threads, torch {torch.__version__}\n"
    )
    print(times_table(options.batch, options.repeats), memory_table(options.threads), sep="\n\n")


def times_table(batch: int, repeats: int) -> str:
    """Share of every part of a forward pass at 256 x 256."""
    model = SigFormer(SigFormerConfig()).eval()
    images = torch.rand(batch, 1, 256, 256)
    with torch.inference_mode():
        model(images[:1])
        spent, whole = Counter(), 0.0
        with timed(model, spent):
            for _ in range(repeats):
                start = time.perf_counter()
                model(images)
                whole += time.perf_counter() - start
    spent["everything else"] = whole - sum(spent.values())
    rows = [f"| {name} | {seconds / repeats:.3f} | {seconds / whole:.1%} |" for name, seconds in spent.most_common()]
    head = f"| part, {batch} images of 256 x 256 | seconds | share |\n|---|---:|---:|"
    return "\n".join([head, *rows, f"| whole forward pass | {whole / repeats:.3f} | 100 % |"])


class timed:
    """While entered, adds the seconds spent in every part of ``model`` to ``spent``."""

    def __init__(self, model: SigFormer, spent: Counter) -> None:
        self.model, self.spent, self.undo = model, spent, []

    def __enter__(self) -> None:
        for module in self.model.modules():
            if name := PARTS.get(type(module)):
                self._replace(module, "forward", name)
        self._replace(sigformer, "analyse", "EWT: analysis")
        self._replace(sigformer, "synthesise", "EWT: synthesis")
        self._replace(DecomposerLevel, "_shared_boundaries", "EWT: boundaries")

    def __exit__(self, *_: object) -> None:
        for restore in reversed(self.undo):
            restore()

    def _replace(self, owner: object, attribute: str, name: str) -> None:
        original = getattr(owner, attribute)
        own = attribute in vars(owner)

        def measured(*arguments: object, **options: object) -> object:
            start = time.perf_counter()
            result = original(*arguments, **options)
            self.spent[name] += time.perf_counter() - start
            return result

        setattr(owner, attribute, measured)
        self.undo.append(lambda: setattr(owner, attribute, original) if own else delattr(owner, attribute))


def memory_table(threads: int) -> str:
    """Peak memory of one image at growing sizes, each in a process of its own, less that of an idle one."""
    command: Callable[[int], list[str]] = lambda side: [sys.executable, __file__, "--memory-of", str(side)]  # noqa: E731
    measured = {side: _measure([*command(side), "--threads", str(threads)]) for side in (0, *SIDES)}
    rows = [
        f"| {side} x {side} | {measured[side] - measured[0]:.0f} "
        f"| {1e6 * (measured[side] - measured[0]) / side**2:.0f} |"
        for side in SIDES
    ]
    return "\n".join(["| one image | MB above an idle process | bytes a pixel |", "|---|---:|---:|", *rows])


def peak_memory(side: int) -> float:
    """Peak resident memory of this process in MB after one forward pass; of none if ``side`` is 0."""
    model = SigFormer(SigFormerConfig()).eval()
    if side:
        with torch.inference_mode():
            model(torch.rand(1, 1, side, side))
    # Not ru_maxrss: it begins with what the process that started this one had reached.
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1e3


def _measure(command: list[str]) -> float:
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


if __name__ == "__main__":
    main()
