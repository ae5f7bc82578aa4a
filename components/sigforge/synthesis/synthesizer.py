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
from sigforge.methods.sigfusion.dominance import pool_to_tokens, swapped
from sigforge.methods.sigfusion.plgn import PLANES, Plgn
from sigforge.methods.sigfusion.prior import MapKind
from sigforge.methods.tiling import run_padded, run_tiled
from sigforge.synthesis.channels import CHROMA, Channel, by_input, channels_of
from sigforge.synthesis.crops import crop_of
from sigforge.synthesis.dominance_maps import DrawnMap, draw_map
from sigforge.synthesis.modality import restyled, without_lattice

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
            which side is out of focus cannot be known from one image. A PLGN with a condition knows it.
        maps: how dominance maps are laid over photographs, for a PLGN with a condition; null: ``segments``.
        modality: such a PLGN's pairs, but those of ``mfif``, take the grey levels, details and noise of real images.

    Raises:
        UserError: ``plgn`` lacks the channels of every kind of pair of the task, or has no condition where ``maps`` are
            asked for, or nothing to draw them from.
    """

    def __init__(
        self,
        plgn: Plgn,
        task: str,
        *,
        seed: int = 0,
        focus_mix: bool = True,
        maps: MapKind | None = None,
        modality: bool = True,
    ) -> None:
        self.plgn, self.task, self.seed = plgn.eval(), task, seed
        self.conditioned = plgn.condition != "none"
        self.focus_mix, self.maps = focus_mix and not self.conditioned, maps or "segments"
        self.modality = modality and task != "mfif"  # both sources are photographs, with the grey levels of this one
        if maps and not self.conditioned:
            raise UserError(
                f"PLGN has no condition and takes no maps of '{maps}': train with 'plgn.condition: dominance'"
            )
        if self.conditioned and not plgn.prior:
            raise UserError("PLGN has a condition but no prior to draw maps from: train it again")
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
        drawn = self.draw(photo, index)
        ycbcr = self.planes(photo, drawn)
        maps = None if drawn is None else drawn.maps[None]
        made = self.modulate(ycbcr[None], self.subtask(index), maps)
        return self.assemble(photo, ycbcr, {name: planes[0] for name, planes in made.items()}, index, drawn)

    def draw(self, photo: np.ndarray, index: int) -> DrawnMap | None:
        """The dominance map of sample ``index``; None for a PLGN without condition."""
        if self.plgn.prior is None or not self.conditioned:
            return None
        rng = rng_of(self.seed, "synth", self.task, index, "map")
        return draw_map(self.plgn.prior, photo, self.task, self.subtask(index), self.maps, rng)

    def planes(self, photo: np.ndarray, drawn: DrawnMap | None) -> np.ndarray:
        """(H, W, 3) Y, Cb, Cr of a photograph, as far as its pair shows anything."""
        return to_ycbcr(photo) if drawn is None else drawn.supported(to_ycbcr(photo))

    def likenesses(self, subtask: str) -> tuple[float, ...]:
        """How alike the sources of the real training pairs of a kind are; empty where nothing is known."""
        prior = self.plgn.prior
        return tuple(float(prior.alike[index]) for index in prior.of(subtask)) if prior else ()

    def subtask(self, index: int) -> str:
        """The kind of pair that sample ``index`` becomes; kinds take turns."""
        return self.subtasks[index % len(self.subtasks)]

    @torch.inference_mode()
    def modulate(self, ycbcr: np.ndarray, subtask: str, maps: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Run the network: what it makes of each plane, unclamped, by channel.

        Args:
            ycbcr: (B, H, W, 3) of photographs.
            subtask: all of them become pairs of this kind.
            maps: (B, K, H, W) of :meth:`draw`, where there is a condition.

        Returns:
            (B, H, W) by the names of :func:`sigforge.synthesis.channels.channels_of`.
        """
        batch = torch.from_numpy(ycbcr).to(next(self.plgn.parameters()).device)
        planes = {name: batch[:, None, :, :, index] for index, name in enumerate(PLANES)}
        first = modalities(self.task, subtask)[0]
        groups = by_input(modalities(self.task, subtask))
        names = [channel.name for group in groups for channel in group]
        laid = None if maps is None else torch.from_numpy(maps).to(batch.device)
        parts = [self._run(group[0].read(planes), group, laid, first) for group in groups]
        made = torch.cat(parts, dim=1).cpu().numpy()
        return {name: made[:, index] for index, name in enumerate(names)}

    def assemble(
        self,
        photo: np.ndarray,
        ycbcr: np.ndarray,
        made: dict[str, np.ndarray],
        index: int,
        drawn: DrawnMap | None = None,
    ) -> SyntheticPair:
        """The pair of a photograph from what :meth:`modulate` made of it; no network runs, so any thread may do it.

        Args:
            photo: (H, W) or (H, W, 3) in [0, 1]; for ``mfif`` it is the side that is in focus.
            ycbcr: (H, W, 3) of the same photograph, see :meth:`planes`.
            made: (H, W) planes by channel, unclamped.
            index: the sample's number; with the seed it fixes the subtask and the focus mask.
            drawn: its dominance map, where there is a condition.

        Returns:
            both images, clipped to [0, 1].
        """
        subtask = self.subtask(index)
        if drawn is not None:
            made = self._of_modality(ycbcr[..., 0], made, drawn, index)
        a, b = (_modality(ycbcr, made, name) for name in modalities(self.task, subtask))
        seed = seed_of(self.seed, "synth", self.task, index)
        mixed = self.task == "mfif" and self.focus_mix
        if mixed:
            a, b = _focus_mix(photo, a, b, rng_of(self.seed, "synth", self.task, index))
        facts: dict[str, object] = {"seed": seed, "focus_mix": mixed} | (
            drawn.facts | {"modality": self.modality} if drawn else {}
        )
        return SyntheticPair(a, b, subtask, facts)

    def _of_modality(
        self, before: np.ndarray, made: dict[str, np.ndarray], drawn: DrawnMap, index: int
    ) -> dict[str, np.ndarray]:
        """Lumas without a lattice, and with what the modality adds of its own."""
        rng, changed = rng_of(self.seed, "synth", self.task, index, "modality"), dict(made)
        for name, style in zip(modalities(self.task, self.subtask(index)), drawn.styles, strict=True):
            luma = without_lattice(made[name], before)
            changed[name] = restyled(luma, style, rng) if self.modality else luma
        return changed

    def _run(self, plane: Tensor, channels: tuple[Channel, ...], maps: Tensor | None, first: str) -> Tensor:
        """(B, 1, H, W), decomposed once, to (B, channels, H, W); ``maps`` as modality ``first`` sees them."""
        plgn, config = self.plgn, self.plgn.sigformer.config

        def modulated(padded: Tensor) -> Tensor:
            parts, seen = plgn.sigformer.decompose(padded[:, :1]), padded[:, 1:]
            own = pool_to_tokens(seen, config) if seen.shape[1] else None
            made = []
            for channel in channels:
                maps_of = own if own is None or channel.modality == first else swapped(own)
                made.append(plgn.sigformer.reconstruct(plgn.modulate(parts, channel.name, maps_of)))
            return torch.cat(made, dim=1)

        def network(image: Tensor) -> Tensor:
            return run_padded(modulated, image, multiple=config.multiple, minimum=config.minimum_side)

        return run_tiled(network, plane if maps is None else torch.cat([plane, maps], dim=1))


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
    height, width = photo.shape[:2]
    return crop_of(height, width, side).cut(photo, side)


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

    Example:
        >>> mask = focus_mask(64, 96, np.random.default_rng(0))
        >>> mask.shape, bool(0 <= mask.min() < 0.1), bool(0.9 < mask.max() <= 1)
        ((64, 96), True, True)
    """
    coarse = rng.standard_normal((MASK_SCALE, MASK_SCALE)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    field = (field - np.median(field)) / (field.max() - field.min())
    return 1 / (1 + np.exp(-field / MASK_SOFTNESS))


def _focus_mix(
    photo: np.ndarray, a: np.ndarray, b: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    photo = photo if photo.ndim == a.ndim else np.repeat(photo[..., None], 3, -1)
    height, width = photo.shape[:2]
    mask = focus_mask(height, width, rng)
    mask = mask if photo.ndim == 2 else mask[..., None]
    return mask * photo + (1 - mask) * a, (1 - mask) * photo + mask * b


def _modality(ycbcr: np.ndarray, made: dict[str, np.ndarray], modality: str) -> np.ndarray:
    """The photograph as ``modality`` shows it: grey, with modulated chroma, or with the photograph's chroma."""
    planes: dict[str, np.ndarray] = {channel.target: made[channel.name] for channel in channels_of(modality)}
    if CHROMA[modality] == "keep":
        planes = dict(zip(PLANES, np.moveaxis(ycbcr, -1, 0), strict=True)) | planes
    if len(planes) == 1:
        return planes["y"].clip(0, 1)
    return ycbcr_to_rgb(np.stack([planes[name] for name in PLANES], axis=-1)).clip(0, 1)
