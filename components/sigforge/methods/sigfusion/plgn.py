"""PLGN, the pseudo-label generation network: a frozen SigFormer with signal modulators per modality.

Wang et al., "SigFusion", AAAI 2026, Eqs. (4)-(7).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sigforge.methods.sigfusion.dominance import dominance, map_names
from sigforge.methods.sigfusion.modulator import Condition, Modulated, SignalModulator
from sigforge.methods.sigfusion.prior import DominancePrior
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig, Subbands
from sigforge.methods.weights import MODEL, load_model

KIND = "plgn"
PLANES = ("y", "cb", "cr")


@dataclass(frozen=True)
class PlgnLoss:
    """Both levels of Eq. (7), means over the batch, and the same for the unmodulated reconstruction."""

    signal: Tensor
    pixel: Tensor
    identity_signal: Tensor
    identity_pixel: Tensor


class Plgn(nn.Module):
    """Turns one plane of an image into the same plane as another modality would show it.

    Args:
        sigformer: pretrained by Eq. (15); its weights stay as they are.
        channels: names of what is modulated: a modality (``ir``: its luma) or modality and plane (``pet_cb``).
        sm: which subbands are modulated at all.
        condition: ``dominance`` shows modulators what belongs to which source; ``none`` is the paper read literally.
        prior: of the real pairs, to draw dominance maps from in synthesis.
    """

    def __init__(
        self,
        sigformer: SigFormer,
        channels: tuple[str, ...],
        sm: Modulated = "all",
        *,
        condition: Condition = "none",
        prior: DominancePrior | None = None,
    ) -> None:
        super().__init__()
        self.sigformer = sigformer.requires_grad_(False)
        self.sm, self.condition, self.prior = sm, condition, prior
        self.modulators = nn.ModuleDict({name: self._modulator(name) for name in channels})

    def _modulator(self, channel: str) -> SignalModulator:
        if self.condition == "none":
            return SignalModulator(self.sigformer.config, self.sm)
        direction = brightness_direction(self.sigformer)
        is_luma = not channel.endswith(tuple(f"_{plane}" for plane in PLANES[1:]))
        return SignalModulator(self.sigformer.config, self.sm, direction, is_luma=is_luma)

    def add_channel(self, name: str) -> None:
        """Modulators for another modality, as yet the identity; those of the others stay as they are.

        Raises:
            ValueError: it is there already.
        """
        if name in self.modulators:
            raise ValueError(f"channel '{name}' is there already; give the new one another name")
        self.modulators[name] = self._modulator(name)

    def forward(self, plane: Tensor, channel: str, maps: Tensor | None = None) -> Tensor:
        """The modulated plane, unclamped (Eq. 6).

        Args:
            plane: (B, 1, H, W) in [0, 1].
            channel: whose modulators.
            maps: see :meth:`modulate`.
        """
        return self.sigformer.reconstruct(self.modulate(self.sigformer.decompose(plane), channel, maps))

    def modulate(self, parts: Subbands, channel: str, maps: Tensor | None = None) -> Subbands:
        """Eq. (5) with the modulators of one channel.

        Args:
            parts: the subbands of a fused image.
            channel: whose modulators.
            maps: (B, K, h, w) what belongs to this channel's source, where there is a condition.

        Raises:
            ValueError: there are none of that name.
            UserError: the map does not fit, or there is one too few or too many.
        """
        if channel not in self.modulators:
            raise ValueError(f"channel '{channel}' was never trained; this PLGN has {', '.join(self.modulators)}")
        return self.modulators[channel](parts, maps)

    def loss(self, fused: Tensor, target: Tensor, channel: str, sources: Tensor | None = None) -> PlgnLoss:
        """Eq. (7): mean squared error to the real source, over subbands and over pixels.

        The paper writes the modulator on the target's subbands; read literally that trains nothing on the fused image,
        so modulated subbands of ``fused`` are compared with ``target``'s, analysed with the same wavelet bank.

        Args:
            fused, target: (B, 1, H, W) planes in [0, 1].
            channel: whose modulators.
            sources: (2, B, 1, H, W) lumas of the channel's source and of its partner, where there is a condition.
        """
        with torch.no_grad():
            source = self.sigformer.decompose(fused)
            maps = None if sources is None else dominance(self.sigformer, sources[0], sources[1], source.boundaries)
            goal = self.sigformer.decompose(target, source.boundaries)
            identity_signal = subband_mse(source, goal)
            identity_pixel = F.mse_loss(self.sigformer.reconstruct(source), target)
        modulated = self.modulate(source, channel, maps)
        pixel = F.mse_loss(self.sigformer.reconstruct(modulated), target)
        return PlgnLoss(subband_mse(modulated, goal), pixel, identity_signal, identity_pixel)


def plgn_path(task: str) -> Path:
    """Where stage ``plgn`` leaves that of a task."""
    return Path("data/plgn") / task / MODEL


def load_plgn(path: Path) -> Plgn:
    """A trained PLGN from its file, which says how it is built.

    Raises:
        UserError: no such file, not a PLGN, or one of another version.
    """

    def build(config: dict) -> Plgn:
        sigformer = SigFormer(SigFormerConfig.model_validate(config["sigformer"]))
        condition, kept = config.get("condition", "none"), config.get("prior")
        prior = kept and DominancePrior(kept["pairs"], kept["subtasks"], len(map_names(sigformer.config)))
        return Plgn(sigformer, tuple(config["channels"]), config.get("sm", "all"), condition=condition, prior=prior)

    return load_model(path, build, kind=KIND)


@torch.no_grad()
def brightness_direction(sigformer: SigFormer) -> Tensor:
    """(width,): how the low map of a flat image changes with its grey level, per unit."""
    side = 4 * sigformer.config.minimum_side
    dark, bright = (sigformer.decompose(torch.full((1, 1, side, side), level)).low for level in (0.4, 0.6))
    return ((bright - dark) / 0.2).mean(dim=(0, 2, 3))


def subband_mse(parts: Subbands, goal: Subbands) -> Tensor:
    """Sum over subbands of each one's mean squared error."""
    return torch.stack([F.mse_loss(values, goal[name]) for name, values in parts.items()]).sum()


def channel_name(modality: str, plane: str) -> str:
    """``ir`` for the luma of a modality, ``pet_cb`` for its chroma planes."""
    return modality if plane == "y" else f"{modality}_{plane}"
