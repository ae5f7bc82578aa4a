"""What trained networks are worth on images they have not seen."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sigforge.methods.tiling import pad_to

if TYPE_CHECKING:  # pretraining does not change with what is built on SigFormer
    from sigforge.methods.sigfusion.network import FusionNetwork
    from sigforge.methods.sigfusion.plgn import Plgn
    from sigforge.methods.sigfusion.sigformer import SigFormer, Subbands

Losses = Callable[[Any], dict[str, Tensor]]

SIDE = 256
MINIMUM = 32
"""Shortest side, in pixels, that the terms of the loss take."""


def centre(plane: np.ndarray, multiple: int, minimum: int, *, side: int = SIDE) -> Tensor:
    """The middle of a plane, at most ``side`` square.

    Args:
        plane: (H, W) in [0, 1].
        multiple: both sides become multiples of it, by cutting.
        minimum: a shorter side is padded by mirroring up to this.
        side: greatest side, pixels.

    Returns:
        (1, 1, h, w), float32.

    Example:
        >>> centre(np.zeros((100, 300), np.float32), 8, 16).shape
        torch.Size([1, 1, 96, 256])
    """
    height, width = (min(size, side) for size in plane.shape)
    top, left = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    image = torch.from_numpy(np.ascontiguousarray(plane[top : top + height, left : left + width], dtype=np.float32))
    sides = [max(minimum, size // multiple * multiple) for size in (height, width)]
    return pad_to(image[: sides[0], : sides[1]], *sides)[None, None]


@torch.inference_mode()
def reconstruction(model: "SigFormer", planes: Iterable[np.ndarray]) -> dict[str, float]:
    """Mean PSNR of reconstruction in dB: whole, without any high subband, without the low one; and the boundaries.

    What is lost without a subband tells whether it carries anything, so whether modulating it can matter.
    """
    model.eval()
    config, device = model.config, next(model.parameters()).device
    rows: list[dict[str, float]] = []
    for plane in planes:
        image = centre(plane, config.multiple, config.minimum_side).to(device)
        parts = model.decompose(image)
        variants = {
            "psnr": parts,
            "psnr_without_high": replace(parts, high=tuple(torch.zeros_like(high) for high in parts.high)),
            "psnr_without_low": replace(parts, low=torch.zeros_like(parts.low)),
        }
        row = {
            name: reconstruction_psnr(model.reconstruct(variant).clamp(0, 1), image)
            for name, variant in variants.items()
        }
        rows.append(row | _boundaries(parts))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


@torch.inference_mode()
def modulation(plgn: "Plgn", samples: Iterable[tuple[str, tuple[np.ndarray, ...]]]) -> dict[str, float]:
    """Both terms of Eq. (7), beside the unmodulated reconstruction's.

    Args:
        plgn: trained.
        samples: channel, and its fused plane, real plane and, with a condition, the lumas of that and of its partner.

    Returns:
        means named ``<channel>_signal``, ``<channel>_signal_identity``, ``<channel>_pixel`` and
        ``<channel>_pixel_identity``, and their number, ``<channel>_samples``.
    """
    plgn.eval()
    config, device = plgn.sigformer.config, next(plgn.parameters()).device
    values: dict[str, list[float]] = {}
    for channel, given in samples:
        fused, target, *both = (centre(plane, config.multiple, config.minimum_side).to(device) for plane in given)
        loss = plgn.loss(fused, target, channel, torch.stack(both) if both else None)
        for name, value in (
            ("signal", loss.signal),
            ("signal_identity", loss.identity_signal),
            ("pixel", loss.pixel),
            ("pixel_identity", loss.identity_pixel),
        ):
            values.setdefault(f"{channel}_{name}", []).append(float(value))
    signals = [name for name in values if name.endswith("_signal")]
    counts = {f"{name.removesuffix('_signal')}_samples": len(values[name]) for name in signals}
    return {name: float(np.mean(entries)) for name, entries in values.items()} | counts


@torch.inference_mode()
def mean_fusion_loss(net: "FusionNetwork", losses: Losses, pairs: Iterable[np.ndarray]) -> dict[str, float]:
    """Mean of the training loss and its terms over pairs, on their middle.

    Args:
        net: put into evaluation mode.
        losses: those of the training.
        pairs: (2, H, W) in [0, 1] each.

    Returns:
        by term; empty without pairs.
    """
    net.eval()
    rows = []
    for planes in pairs:
        middle = torch.stack([centre(plane, net.multiple, max(MINIMUM, net.minimum_side)) for plane in planes])
        rows.append({name: float(value) for name, value in losses((middle, None)).items()})
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}


def reconstruction_psnr(image: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio in dB for values in [0, 1]; 100 dB stands for no visible error at all."""
    error = float(((image - reference) ** 2).mean())
    return min(100.0, -10 * np.log10(max(error, 1e-10)))


def _boundaries(parts: "Subbands") -> dict[str, float]:
    """Boundaries as fractions of pi, per submodule and cut."""
    return {
        f"boundary{level}_{cut + 1}": float(values[0, cut]) / np.pi
        for level, values in enumerate(parts.boundaries, start=1)
        for cut in range(values.shape[-1])
    }
