"""A photograph becomes a pair: PLGN's inference (SigFusion, Fig. 3 left), under the task's colour policy."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from components.colour import rgb_to_ycbcr, ycbcr_to_rgb
from components.errors import UserError
from components.manifest import MODALITIES, modalities
from components.models.plgn import PLANES, Plgn
from components.models.tiling import run_padded, run_tiled
from components.seeds import rng_of, seed_of
from components.synthesis.channels import CHROMA, channels_of

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
        focus_mix: for ``mfif``, mix photograph and modulated image through a random smooth mask and its complement: which
            side is out of focus cannot be known from one image.

    Raises:
        UserError: ``plgn`` lacks the channels of every kind of pair of the task.
    """

    def __init__(self, plgn: Plgn, task: str, *, seed: int = 0, focus_mix: bool = True) -> None:
        self.plgn, self.task, self.seed, self.focus_mix = plgn.eval(), task, seed, focus_mix
        self.subtasks = trained_subtasks(plgn, task)
        if not self.subtasks:
            raise UserError(f"PLGN with modulators for {', '.join(plgn.modulators)} makes no pair of {task}; give one of {task}")

    def pair(self, photo: np.ndarray, index: int) -> SyntheticPair:
        """The pair of one photograph.

        Args:
            photo: (H, W) or (H, W, 3) in [0, 1].
            index: the sample's number; with the seed it fixes the subtask and the focus mask.
        """
        subtask = self.subtasks[index % len(self.subtasks)]
        ycbcr = _planes(photo)
        a, b = (self._modality(ycbcr, name) for name in modalities(self.task, subtask))
        seed = seed_of(self.seed, "synth", self.task, index)
        mixed = self.task == "mfif" and self.focus_mix
        if mixed:
            a, b = _focus_mix(photo, a, b, rng_of(self.seed, "synth", self.task, index))
        return SyntheticPair(a, b, subtask, {"seed": seed, "focus_mix": mixed})

    @torch.inference_mode()
    def _modality(self, ycbcr: dict[str, Tensor], modality: str) -> np.ndarray:
        """The photograph as ``modality`` shows it: grey, with modulated chroma, or with the photograph's chroma."""
        made = {channel.target: self._run(channel.read(ycbcr), channel.name) for channel in channels_of(modality)}
        if CHROMA[modality] == "keep":
            made = {**ycbcr, **made}
        if len(made) == 1:
            return made["y"].clamp(0, 1)[0, 0].cpu().numpy()
        stacked = torch.cat([made[plane].cpu() for plane in PLANES], dim=1)[0]
        return np.clip(ycbcr_to_rgb(np.moveaxis(stacked.numpy(), 0, -1)), 0, 1)

    def _run(self, plane: Tensor, channel: str) -> Tensor:
        config = self.plgn.sigformer.config
        device = next(self.plgn.parameters()).device

        def network(image: Tensor) -> Tensor:
            return run_padded(
                lambda padded: self.plgn(padded, channel), image, multiple=config.multiple, minimum=config.minimum_side
            )

        return run_tiled(network, plane.to(device))


def trained_subtasks(plgn: Plgn, task: str) -> tuple[str, ...]:
    """The kinds of pair of a task for which ``plgn`` has all modulators: those whose real pairs it was trained on."""

    def has(modality: str) -> bool:
        return all(channel.name in plgn.modulators for channel in channels_of(modality))

    return tuple(name for name, pair in MODALITIES[task].items() if all(map(has, pair)))


def fit_square(photo: np.ndarray, side: int) -> np.ndarray:
    """Shrink (H, W[, 3]) until its shorter side is ``side`` and keep the middle square.

    Raises:
        UserError: the photograph is smaller than that; enlarging it would invent blur.
    """
    height, width = photo.shape[:2]
    if min(height, width) < side:
        raise UserError(f"photograph of {height}x{width} is smaller than synth.size {side}")
    scale = side / min(height, width)
    target = (max(side, round(width * scale)), max(side, round(height * scale)))
    small = photo if scale == 1 else cv2.resize(photo, target, interpolation=cv2.INTER_AREA)
    top, left = (small.shape[0] - side) // 2, (small.shape[1] - side) // 2
    return small[top : top + side, left : left + side]


def focus_mask(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W) in [0, 1]: a random smooth region in focus, about half of the image."""
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


def _planes(photo: np.ndarray) -> dict[str, Tensor]:
    if photo.ndim == 2:
        photo = np.repeat(photo[..., None], 3, -1)
    ycbcr = torch.from_numpy(np.ascontiguousarray(rgb_to_ycbcr(photo), dtype=np.float32))
    return {name: ycbcr[None, None, :, :, index] for index, name in enumerate(PLANES)}
