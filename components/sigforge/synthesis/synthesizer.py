"""A photograph becomes a pair: PLGN's inference (SigFusion, Fig. 3 left), under the task's colour policy."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from sigforge.core.colour import rgb_to_ycbcr, ycbcr_to_rgb
from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of, seed_of
from sigforge.dataset.tasks import MODALITIES, modalities
from sigforge.methods.sigfusion.plgn import PLANES, Plgn
from sigforge.methods.tiling import run_padded, run_tiled
from sigforge.synthesis.channels import CHROMA, Channel, by_input, channels_of
from sigforge.synthesis.crops import crop_of

MASK_SCALE = 6
"""Control points along a side of the random focus mask: blobs of about a sixth of the image."""

MASK_SOFTNESS = 0.03
"""Width of the mask's transition in units of its random field, which spans about [0, 1]."""


@dataclass(frozen=True)
class SyntheticPair:
    """Two float32 images in [0, 1], (H, W) or (H, W, 3), and how they came about."""

    a: np.ndarray
    b: np.ndarray
    subtask: str
    facts: dict[str, object]


class Synthesizer:
    """Makes pairs of one task from photographs with a trained PLGN.

    Args:
        plgn: trained for the channels of ``task``.
        focus_mix: for ``mfif``, mix photograph and modulated image through a random smooth mask and its complement:
            which side is out of focus cannot be known from one image.

    Raises:
        UserError: ``plgn`` lacks the channels of every kind of pair of the task.
    """

    def __init__(self, plgn: Plgn, task: str, *, seed: int = 0, focus_mix: bool = True) -> None:
        self.plgn, self.task, self.seed, self.focus_mix = plgn.eval(), task, seed, focus_mix
        self.subtasks = trained_subtasks(plgn, task)
        if not self.subtasks:
            has = ", ".join(plgn.modulators)
            raise UserError(f"PLGN with modulators for {has} makes no pair of {task}; give one of {task}")

    def pair(self, photo: np.ndarray, index: int) -> SyntheticPair:
        """The pair of one photograph.

        Args:
            photo: (H, W) or (H, W, 3) in [0, 1].
            index: the sample's number; with the seed it fixes the subtask and the focus mask.
        """
        ycbcr = to_ycbcr(photo)
        made = self.modulate(ycbcr[None], self.subtask(index))
        return self.assemble(photo, ycbcr, {name: planes[0] for name, planes in made.items()}, index)

    def subtask(self, index: int) -> str:
        """The kind of pair that sample ``index`` becomes; kinds take turns."""
        return self.subtasks[index % len(self.subtasks)]

    @torch.inference_mode()
    def modulate(self, ycbcr: np.ndarray, subtask: str) -> dict[str, np.ndarray]:
        """Run the network: what it makes of each plane, unclamped, by channel.

        Args:
            ycbcr: (B, H, W, 3) of photographs.
            subtask: all of them become pairs of this kind.

        Returns:
            (B, H, W) by the names of :func:`sigforge.synthesis.channels.channels_of`.
        """
        batch = torch.from_numpy(ycbcr).to(next(self.plgn.parameters()).device)
        planes = {name: batch[:, None, :, :, index] for index, name in enumerate(PLANES)}
        groups = by_input(modalities(self.task, subtask))
        names = [channel.name for group in groups for channel in group]
        made = torch.cat([self._run(group[0].read(planes), group) for group in groups], dim=1).cpu().numpy()
        return {name: made[:, index] for index, name in enumerate(names)}

    def assemble(self, photo: np.ndarray, ycbcr: np.ndarray, made: dict[str, np.ndarray], index: int) -> SyntheticPair:
        """The pair of a photograph from what :meth:`modulate` made of it; no network runs, so any thread may do it.

        Args:
            photo: (H, W) or (H, W, 3) in [0, 1]; for ``mfif`` it is the side that is in focus.
            ycbcr: (H, W, 3) of the same photograph.
            made: (H, W) planes by channel, unclamped.
            index: the sample's number; with the seed it fixes the subtask and the focus mask.

        Returns:
            both images, clipped to [0, 1].
        """
        subtask = self.subtask(index)
        a, b = (_modality(ycbcr, made, name) for name in modalities(self.task, subtask))
        seed = seed_of(self.seed, "synth", self.task, index)
        mixed = self.task == "mfif" and self.focus_mix
        if mixed:
            a, b = _focus_mix(photo, a, b, rng_of(self.seed, "synth", self.task, index))
        return SyntheticPair(a, b, subtask, {"seed": seed, "focus_mix": mixed})

    def _run(self, plane: Tensor, channels: tuple[Channel, ...]) -> Tensor:
        """(B, 1, H, W), decomposed once, to (B, channels, H, W)."""
        plgn, config = self.plgn, self.plgn.sigformer.config

        def modulated(padded: Tensor) -> Tensor:
            parts = plgn.sigformer.decompose(padded)
            made = [plgn.sigformer.reconstruct(plgn.modulate(parts, channel.name)) for channel in channels]
            return torch.cat(made, dim=1)

        def network(image: Tensor) -> Tensor:
            return run_padded(modulated, image, multiple=config.multiple, minimum=config.minimum_side)

        return run_tiled(network, plane)


def trained_subtasks(plgn: Plgn, task: str) -> tuple[str, ...]:
    """The kinds of pair of a task for which ``plgn`` has all modulators: those whose real pairs it was trained on."""

    def has(modality: str) -> bool:
        return all(channel.name in plgn.modulators for channel in channels_of(modality))

    return tuple(name for name, pair in MODALITIES[task].items() if all(map(has, pair)))


def fit_square(photo: np.ndarray, side: int) -> np.ndarray:
    """The middle square of (H, W[, 3]), shrunk to ``side``.

    Raises:
        UserError: the photograph is smaller than that; enlarging it would invent blur.
    """
    return crop_of(*photo.shape[:2], side).cut(photo, side)


def to_ycbcr(photo: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) in [0, 1] to float32 Y, Cb, Cr, (H, W, 3)."""
    if photo.ndim == 2:
        photo = np.repeat(photo[..., None], 3, -1)
    return np.ascontiguousarray(rgb_to_ycbcr(photo), dtype=np.float32)


def focus_mask(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A random smooth mask: about half of the image in focus, in blobs of about a sixth of its side.

    Args:
        height: pixels.
        width: pixels.
        rng: what draws the blobs.

    Returns:
        (height, width) in [0, 1], 1 where the photograph is sharp.
    """
    coarse = rng.standard_normal((MASK_SCALE, MASK_SCALE)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    field = (field - np.median(field)) / (field.max() - field.min())
    return 1 / (1 + np.exp(-field / MASK_SOFTNESS))


def _focus_mix(
    photo: np.ndarray, a: np.ndarray, b: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    photo = photo if photo.ndim == a.ndim else np.repeat(photo[..., None], 3, -1)
    mask = focus_mask(*photo.shape[:2], rng)
    mask = mask if photo.ndim == 2 else mask[..., None]
    return mask * photo + (1 - mask) * a, (1 - mask) * photo + mask * b


def _modality(ycbcr: np.ndarray, made: dict[str, np.ndarray], modality: str) -> np.ndarray:
    """The photograph as ``modality`` shows it: grey, with modulated chroma, or with the photograph's chroma."""
    planes = {channel.target: made[channel.name] for channel in channels_of(modality)}
    if CHROMA[modality] == "keep":
        planes = dict(zip(PLANES, np.moveaxis(ycbcr, -1, 0), strict=True)) | planes
    if len(planes) == 1:
        return planes["y"].clip(0, 1)
    return ycbcr_to_rgb(np.stack([planes[name] for name in PLANES], axis=-1)).clip(0, 1)
