"""Where a Fourier spectrum is cut into bands.

Gilles, "Empirical Wavelet Transform", IEEE TSP 2013, section III-B: local maxima of the magnitude spectrum and the
midpoints (or the lowest minima) between them. The rule for flattened images is ours: raster order puts most energy at
multiples of the line frequency, so the plain rule cuts below 0.04 pi and leaves nothing but slow drift in the low band.

All rules work on magnitudes sampled at pi k / L for k = 0..L, the grid of a signal of length L extended evenly to 2L.
"""

import math

import torch
from torch import Tensor

FALLBACK = (math.pi / 8, math.pi / 2)
SILENCE = 1e-9


def midpoint_boundaries(magnitude: Tensor, bands: int) -> Tensor:
    """Cut halfway between the largest local maxima; the first cut lies between 0 and the first maximum.

    Args:
        magnitude: (..., L+1) magnitudes at pi k / L.
        bands: number of bands, at least 2.

    Returns:
        (..., bands-1) strictly increasing boundaries in radians, in (0, pi). Where a spectrum has fewer maxima than
        needed, the missing boundaries divide what lies above the last one evenly.
    """
    maxima, found = largest_maxima(magnitude, bands - 1)
    starts = torch.cat([torch.zeros_like(maxima[..., :1]), maxima[..., :-1]], dim=-1)
    return complete((starts + maxima) / 2, found)


def lowest_minimum_boundaries(magnitude: Tensor, bands: int) -> Tensor:
    """Cut at the lowest sample between consecutive maxima (Gilles's ``locmaxmin``); arguments as for midpoints."""
    maxima, found = largest_maxima(magnitude, bands - 1)
    grid = _grid(magnitude)
    starts = torch.cat([torch.zeros_like(maxima[..., :1]), maxima[..., :-1]], dim=-1)
    inside = (grid > starts[..., None]) & (grid < maxima[..., None])
    lowest = magnitude[..., None, :].masked_fill(~inside, math.inf).argmin(-1)
    # Two neighbouring maxima always have a sample between them; the first may sit at k = 1 with none below it.
    cut = torch.where(inside.any(-1), grid[lowest], (starts + maxima) / 2)
    return complete(cut, found)


def line_boundaries(magnitude: Tensor, bands: int, *, lowest: float = math.pi / 16) -> Tensor:
    """Boundaries for flattened square-ish maps: whitened spectrum, maxima at least one line frequency apart.

    The spectrum is averaged over one line frequency 2 pi / sqrt(L), divided by its fitted power law (the trend
    removal of Gilles's toolbox), and its largest maxima above ``lowest`` radians give midpoints as usual.

    Args:
        magnitude: (..., L+1) magnitudes at pi k / L, not negative.
        bands: number of bands, at least 2.
        lowest: maxima at or below this frequency, in radians, do not count.

    Returns:
        (..., bands-1) boundaries in radians, float64; the fixed pi/8, pi/2 (three bands) or an even division where too
        few maxima exist or the spectrum is all but silent.

    Example:
        >>> spectrum = 1 / (1 + torch.arange(65.0))  # a power law without a peak
        >>> line_boundaries(spectrum, 3).div(math.pi).tolist()
        [0.125, 0.5]
    """
    length = magnitude.shape[-1] - 1
    line = max(1, round(2 * math.sqrt(length)))
    # Running sums in single precision would lose the weak high frequencies.
    magnitude = magnitude.double()
    whitened = _remove_power_law(_moving_average(magnitude, line + 1))
    whitened = whitened.masked_fill(_grid(magnitude) <= lowest, -math.inf)
    maxima, found = largest_maxima(whitened, bands - 1, separation=line)
    starts = torch.cat([torch.zeros_like(maxima[..., :1]), maxima[..., :-1]], dim=-1)
    # The logarithm of an all but silent spectrum is rounding noise, not peaks.
    enough = ((found == bands - 1) & (magnitude.amax(-1) > SILENCE))[..., None]
    return torch.where(enough, (starts + maxima) / 2, fixed_boundaries(bands, like=magnitude))


def fixed_boundaries(bands: int, *, like: Tensor) -> Tensor:
    """Data-independent boundaries: pi/8 and pi/2 for three bands, an even division otherwise."""
    even = [math.pi * n / bands for n in range(1, bands)]
    return torch.tensor(FALLBACK if bands == 3 else even, dtype=torch.float64, device=like.device)


def largest_maxima(magnitude: Tensor, count: int, *, separation: int = 1) -> tuple[Tensor, Tensor]:
    """The largest local maxima of spectra, in increasing order of frequency.

    Args:
        magnitude: (..., L+1) magnitudes at pi k / L; both ends cannot be maxima.
        count: how many maxima are wanted.
        separation: two of them are at least so many samples of the grid apart; the larger one stays.

    Returns:
        frequencies (..., count) in radians with missing ones at pi, and how many were found (...).

    Example:
        >>> frequencies, found = largest_maxima(torch.tensor([0.0, 3.0, 1.0, 2.0, 0.0]), 2)
        >>> [round(value / math.pi, 2) for value in frequencies.tolist()], int(found)
        ([0.25, 0.75], 2)
    """
    left, centre, right = magnitude[..., :-2], magnitude[..., 1:-1], magnitude[..., 2:]
    heights = torch.where((centre > left) & (centre >= right), centre, -math.inf)
    value, at = _spaced_top(heights, count, separation) if separation > 1 else _top(heights, count)
    length = magnitude.shape[-1] - 1
    frequencies = torch.where(value > -math.inf, (at + 1) * (math.pi / length), math.pi).double().sort(-1).values
    return frequencies, (value > -math.inf).sum(-1)


def _top(heights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest entries and where they are; short rows are filled up with -inf."""
    missing = max(0, count - heights.shape[-1])
    return torch.nn.functional.pad(heights, (0, missing), value=-math.inf).topk(count, dim=-1)


def _spaced_top(heights: Tensor, count: int, separation: int) -> tuple[Tensor, Tensor]:
    """The same, each at least ``separation`` entries from the greater ones."""
    index = torch.arange(heights.shape[-1], device=heights.device)
    values, places = [], []
    for _ in range(count):
        value, at = heights.max(-1)
        heights = heights.masked_fill((index - at[..., None]).abs() < separation, -math.inf)
        values.append(value)
        places.append(at)
    return torch.stack(values, dim=-1), torch.stack(places, dim=-1)


def complete(boundaries: Tensor, found: Tensor) -> Tensor:
    """Replace boundaries beyond the first ``found`` by an even division of what lies above the last good one."""
    count = boundaries.shape[-1]
    order = torch.arange(1, count + 1, device=boundaries.device)
    last = boundaries.gather(-1, (found - 1).clamp(min=0)[..., None])
    last = torch.where(found[..., None] > 0, last, torch.zeros_like(last))
    step = (math.pi - last) / (count - found + 1)[..., None]
    return torch.where(order <= found[..., None], boundaries, last + step * (order - found[..., None]))


def _grid(magnitude: Tensor) -> Tensor:
    length = magnitude.shape[-1] - 1
    return torch.arange(length + 1, dtype=torch.float64, device=magnitude.device) * (math.pi / length)


def _moving_average(magnitude: Tensor, width: int) -> Tensor:
    """Centred average with shrinking windows at both ends, by cumulative sums."""
    size = magnitude.shape[-1]
    total = torch.nn.functional.pad(magnitude.cumsum(-1), (1, 0))
    index = torch.arange(size, device=magnitude.device)
    low, high = (index - width // 2).clamp(min=0), (index + (width + 1) // 2).clamp(max=size)
    return (total[..., high] - total[..., low]) / (high - low)


def _remove_power_law(magnitude: Tensor) -> Tensor:
    """Divide by the least-squares line in log-log coordinates; k = 0 has no logarithm and is left out of the fit."""
    logs = magnitude.clamp(min=torch.finfo(magnitude.dtype).tiny).log()
    x = torch.arange(1, magnitude.shape[-1], dtype=magnitude.dtype, device=magnitude.device).log()
    x = x - x.mean()
    y = logs[..., 1:]
    slope = (y * x).sum(-1, keepdim=True) / (x * x).sum()
    trend = y.mean(-1, keepdim=True) + slope * x
    return torch.cat([torch.zeros_like(logs[..., :1]), (y - trend).exp()], dim=-1)
