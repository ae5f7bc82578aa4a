"""Dominance maps: which source of a pair is the stronger one, per place and subband.

What belongs to which source cannot be read off a fused image, so PLGN's modulators are told. This is the second
argument that Eq. (5) of SigFusion gets with ``plgn.condition: dominance``. It is ours, not the paper's.

A map is (B, K, h, w) in [0, 1] on the tokens of SigFormer, seen by one source. ``brightness`` says by how much it is
brighter than its partner. One entry per subband says what share of the energy of both it has: 1 all, 0 none.
``polarity`` says whether details of both have the same sign (1) or the opposite one (0).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig, Subbands

BRIGHTNESS, POLARITY = "brightness", "polarity"

FLOOR = 2e-4
"""Energy below which both sources count as silent, so as alike: about four grey levels of 255, squared."""

NEAR, WIDE = 3, 5
"""Tokens along a side of the windows, applied twice, of local energies and of what counts as surroundings."""


def map_names(config: SigFormerConfig) -> tuple[str, ...]:
    """Entries of a dominance map, in order.

    Example:
        >>> map_names(SigFormerConfig())
        ('brightness', 'L2', 'H1_1', 'H1_2', 'H2_1', 'H2_2', 'polarity')
    """
    return (BRIGHTNESS, *config.subbands, POLARITY)


def even_map(config: SigFormerConfig, count: int, height: int, width: int) -> Tensor:
    """A map of two sources that are alike everywhere, so that nothing is changed.

    Args:
        config: whose subbands it has entries for.
        count: of the batch.
        height, width: in tokens, or in pixels where it is pooled later.

    Returns:
        (count, K, height, width).
    """
    maps = torch.full((count, len(map_names(config)), height, width), 0.5)
    maps[:, -1] = 1
    return maps


def swapped(maps: Tensor) -> Tensor:
    """The same map as the other source sees it; polarity is the same for both."""
    return torch.cat([1 - maps[:, :-1], maps[:, -1:]], dim=1)


def gain_of(share: Tensor, polarity: Tensor) -> Tensor:
    """What a source keeps of a subband of the fused image, with sign.

    The stronger source keeps all, the weaker one the root of the ratio of energies. Where it is clearly weaker its
    contrast has the sign of the polarity, as infrared shows a dark car on a bright road the other way round.

    Args:
        share: of the energy of both, in [0, 1].
        polarity: 0.5 + r / 2 of the local correlation r.

    Example:
        >>> gain_of(torch.tensor([0.0, 0.2, 0.2, 0.5, 0.9]), torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0]))
        tensor([ 0.0000,  0.5000, -0.5000,  1.0000,  1.0000])
    """
    amplitude = (share / (1 - share).clamp(min=1e-6)).clamp(max=1).sqrt()
    weaker = (8 * (0.5 - share)).clamp(0, 1)
    sign = (3 * (2 * polarity - 1)).clamp(-1, 1)
    return amplitude * (1 - weaker + weaker * sign)


@torch.no_grad()
def dominance(sigformer: SigFormer, own: Tensor, other: Tensor, boundaries: tuple[Tensor, ...] | None = None) -> Tensor:
    """The map of a real pair, as ``own`` sees it, from SigFormer's own subbands.

    ``brightness`` is 0.5 + (own - other) / 2 of the surroundings of each token. The low map's energy is that of its
    departures from its surroundings.

    Args:
        sigformer: whose subbands are compared.
        own: (B, 1, H, W) luma in [0, 1].
        other: the partner's.
        boundaries: of the fused image's decomposition; by default both sources share a bank of their own.

    Returns:
        (B, K, h, w), see :func:`map_names`.
    """
    config = sigformer.config
    if boundaries is None:
        parts = sigformer.decompose_together(torch.stack([own, other]))
    else:
        parts = sigformer.decompose(own, boundaries), sigformer.decompose(other, boundaries)
    means = [pool_to_tokens(plane, config) for plane in (own, other)]
    energies = [subband_energies(one, config) for one in parts]
    shares = (energies[0] + FLOOR) / (energies[0] + energies[1] + 2 * FLOOR)
    return torch.cat(
        [0.5 + surroundings(means[0] - means[1]) / 2, shares, _polarity(parts[0], parts[1], config)], dim=1
    )


def _polarity(a: Subbands, b: Subbands, config: SigFormerConfig) -> Tensor:
    """0.5 + r / 2 with the local correlation r of the details of both, (B, 1, h, w)."""
    x, y = (torch.cat(detail_maps(one, config), dim=1) for one in (a, b))
    cross, first, second = (_smooth(_smooth(one.sum(dim=1, keepdim=True))) for one in (x * y, x * x, y * y))
    return 0.5 + 0.5 * cross / (first * second).sqrt().clamp(min=FLOOR)


def subband_energies(parts: Subbands, config: SigFormerConfig) -> Tensor:
    """(B, Z, h, w): local mean square of every subband on the tokens, summed over channels."""
    return torch.cat([_smooth((one**2).sum(dim=1, keepdim=True)) for one in detail_maps(parts, config)], dim=1)


def detail_maps(parts: Subbands, config: SigFormerConfig) -> list[Tensor]:
    """Every subband in its place, the low one as its departure from its surroundings."""
    size = parts.low.shape[-2:]
    maps = [parts.low - surroundings(parts.low)]
    for name, values in list(parts.items())[1:]:
        level = int(name[1:].partition("_")[0]) - 1
        maps.append(signals_to_map(values, config, level, size))
    return maps


def pool_to_tokens(planes: Tensor, config: SigFormerConfig) -> Tensor:
    """(B, C, H, W) to the means over each token's window, (B, C, h, w)."""
    if config.window > config.patch:
        right = config.patch * max(config.pools)
        planes = F.pad(planes, (config.patch, right, config.patch, right), mode="reflect")
    return F.avg_pool2d(planes, config.window, config.patch)


def signals_to_map(signals: Tensor, config: SigFormerConfig, level: int, size: Sequence[int]) -> Tensor:
    """Signals of a submodule back in their places.

    Args:
        signals: (B, C, L).
        config: of the SigFormer.
        level: of the submodule, from 0.
        size: (h, w) of the tokens.

    Returns:
        (B, C, h, w).
    """
    pool = config.pools[level]
    small = (size[0] // pool, size[1] // pool)
    maps = replace(config.layout(level), carrier=False).unflatten(signals, small)
    return maps if pool == 1 else F.interpolate(maps, size=tuple(size), mode="nearest")


def map_to_signals(maps: Tensor, config: SigFormerConfig, level: int) -> Tensor:
    """The inverse of :func:`signals_to_map`.

    Args:
        maps: (B, C, h, w).
        config: of the SigFormer.
        level: of the submodule, from 0.

    Returns:
        (B, C, L), in the order in which the submodule reads tokens.
    """
    return replace(config.layout(level), carrier=False).flatten(F.avg_pool2d(maps, config.pools[level]))


def surroundings(maps: Tensor) -> Tensor:
    """Means over about nine tokens along a side, (B, C, h, w)."""
    return _smooth(maps, WIDE)


def check_map(maps: Tensor | None, parts: Subbands, config: SigFormerConfig) -> Tensor:
    """``maps`` if they fit the subbands that they are laid on.

    Args:
        maps: (B, K, h, w), or None.
        parts: the subbands of a fused image.
        config: of the SigFormer that made them.

    Raises:
        UserError: no map, or one of another number of entries or another size.
    """
    wanted = (len(parts.low), len(map_names(config)), *parts.low.shape[-2:])
    if maps is None:
        raise UserError("PLGN was trained with 'plgn.condition: dominance' and needs a map: give one")
    if tuple(maps.shape) != wanted:
        raise UserError(f"dominance map of {tuple(maps.shape)} on subbands that need {wanted}: give one of that shape")
    return maps


def _smooth(maps: Tensor, window: int = NEAR) -> Tensor:
    for _ in range(2):
        maps = F.avg_pool2d(F.pad(maps, (window // 2,) * 4, mode="replicate"), window, stride=1)
    return maps
