"""What a perfect network would score: the fused image itself, optimised for Eq. (2) under two readings of its gradient.

``python benchmarks/loss_optimum.py --a DIR --b DIR`` on folders of registered images. The paper says "L1 in the
gradient domain". ``unsigned`` compares |Sx| + |Sy| with the larger of both sources, which leaves the direction free.
``signed`` compares Sx and Sy each with the one of larger magnitude, sign included.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.core.colour import luma
from sigforge.core.device import machine
from sigforge.core.images import read_image
from sigforge.losses.fusion import sobel, sobel_magnitude, ssim
from sigforge.metrics import get_metric, score
from sigforge.metrics.registry import PAPER
from sigforge.models import load

WEIGHTS = {"mse": 2.0, "ssim": 1.0, "max": 10.0, "grad": 10.0}
"""Eq. (2) for ``vif`` and ``mif``."""
CLASSICAL = ("mean", "max", "laplacian", "gff")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--a", type=Path, required=True, help="folder of first sources")
    parser.add_argument("--b", type=Path, required=True, help="folder of second sources; files match by stem")
    parser.add_argument("--pairs", type=int, default=8, help="evenly spread over the folder")
    parser.add_argument("--side", type=int, default=256, help="of the upper left square, pixels")
    parser.add_argument("--steps", type=int, default=300, help="of Adam on the pixels")
    options = parser.parse_args()
    torch.set_num_threads(1)
    a, b = read_pairs(options.a, options.b, options.pairs, options.side)
    rows = {"a alone": a, "b alone": b} | {name: load(name).fuse(a, b) for name in CLASSICAL}
    for name, gradient in (("unsigned", unsigned), ("signed", signed)):
        rows[f"pixels, {name} gradient"] = optimised(a, b, gradient, options.steps)
    print(f"{machine()}, torch {torch.__version__}: {len(a)} pairs of {options.side}x{options.side}\n")
    print(f"| image | Eq. (2), unsigned | signed | {' | '.join(get_metric(name).symbol for name in PAPER)} |")
    print(f"|---|{'---:|' * (len(PAPER) + 2)}")
    for name, fused in rows.items():
        fused = (fused * 255).round() / 255
        losses = [float(loss(fused, a, b, gradient)) for gradient in (unsigned, signed)]
        found = score(fused, a, b, metrics=PAPER)
        cells = [f"{value:.2f}" for value in losses] + [f"{float(found[key].mean()):.3f}" for key in PAPER]
        print(f"| {name} | {' | '.join(cells)} |")


def read_pairs(a: Path, b: Path, count: int, side: int) -> tuple[Tensor, Tensor]:
    """Lumas (count, 1, side, side) in [0, 1] of pairs whose images are large enough.

    Args:
        a: folder of first sources.
        b: folder of second sources.
        count: pairs, evenly spread over those that will do.
        side: of the upper left square, pixels.
    """
    others = {path.stem: path for path in b.iterdir()}
    planes = []
    for path in sorted(path for path in a.iterdir() if path.stem in others):
        pair = [luma(read_image(file)[0]) for file in (path, others[path.stem])]
        if min(pair[0].shape) >= side:
            planes.append([torch.from_numpy(plane[:side, :side]) for plane in pair])
    chosen = planes[:: max(1, len(planes) // count)][:count]
    first, second = (torch.stack(list(planes))[:, None].float() for planes in zip(*chosen, strict=True))
    return first, second


def unsigned(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """L1 between gradient magnitudes: that of the fused image and the larger one of the sources.

    Args:
        fused: (B, 1, H, W) in [0, 1].
        a: first source, likewise.
        b: second source, likewise.
    """
    return F.l1_loss(sobel_magnitude(fused), torch.maximum(sobel_magnitude(a), sobel_magnitude(b)))


def signed(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """L1 between both differences and those of the source where they are larger, summed over the two directions.

    Args:
        fused: (B, 1, H, W) in [0, 1].
        a: first source, likewise.
        b: second source, likewise.
    """
    first, second = sobel(a), sobel(b)
    target = torch.where(first.abs() >= second.abs(), first, second)
    return 2 * F.l1_loss(sobel(fused), target)


def loss(fused: Tensor, a: Tensor, b: Tensor, gradient: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Eq. (2) with one reading of its gradient term.

    Args:
        fused: (B, 1, H, W) in [0, 1].
        a: first source, likewise.
        b: second source, likewise.
        gradient: the reading.
    """
    terms = {
        "mse": (F.mse_loss(fused, a) + F.mse_loss(fused, b)) / 2,
        "ssim": 1 - (ssim(fused, a) + ssim(fused, b)) / 2,
        "max": F.l1_loss(fused, torch.maximum(a, b)),
        "grad": gradient(fused, a, b),
    }
    return sum(WEIGHTS[name] * value for name, value in terms.items())


def optimised(a: Tensor, b: Tensor, gradient: Callable[[Tensor, Tensor, Tensor], Tensor], steps: int) -> Tensor:
    """The image of least Eq. (2) that Adam finds, started at the maximum of the sources.

    Args:
        a: (B, 1, H, W) in [0, 1].
        b: likewise.
        gradient: the reading.
        steps: of Adam, with a learning rate that falls from 0.02 to zero as a cosine.
    """
    fused = torch.maximum(a, b).clone().requires_grad_()
    adam = torch.optim.Adam([fused], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        adam.zero_grad()
        loss(fused, a, b, gradient).backward()
        adam.step()
        schedule.step()
    return fused.detach().clamp(0, 1)


if __name__ == "__main__":
    main()
