"""Phase congruency of one large image: the values of :mod:`~sigforge.metrics.phase_congruency`, in 130 bytes a pixel.

The transforms need the whole image, but filters are made band by band when they are needed, and what follows the
transforms is done band by band. Filters and maps of a batch would take 700 bytes a pixel.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from sigforge.metrics.bands import rows_of_bands
from sigforge.metrics.phase_congruency import (
    ANGULAR_SIGMA,
    EPS,
    ORIENTATIONS,
    SIGMA_ON_F,
    WAVELENGTHS,
    accumulate,
    frequency_axes,
    low_pass_rows,
    moments,
    noise_threshold,
)


def large_phase_congruency(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Phase congruency of one grey image, with its largest and smallest moment.

    Args:
        image: (H, W), grey levels 0..255 of any type.

    Returns:
        Congruency in [0, 1], maximum moment, minimum moment; each (H, W), float32.
    """
    height, width = image.shape
    scales = _scale_spectra(image)
    sums = torch.zeros((5, height, width), device=image.device)
    for angle, gain in zip(ORIENTATIONS, _noise_gains(height, width, image.device), strict=True):
        _add_orientation(sums, scales, angle, gain)
    del scales
    energies, amplitudes, cxx, cyy, cxy = sums
    energies.div_(amplitudes.add_(EPS))
    for start, stop in rows_of_bands(height, width):
        largest, smallest = moments(*(one[start:stop].double() for one in (cxx, cyy, cxy)))
        cxx[start:stop], cyy[start:stop] = largest, smallest
    return energies.clone(), cxx.clone(), cyy.clone()


def _add_orientation(sums: Tensor, scales: Sequence[Tensor], angle: float, gain: Tensor) -> None:
    """Add one orientation to the sums; a function of its own, so that its responses go before the next ones come."""
    height, width = scales[0].shape
    angular = torch.cat([rows.float() for rows in _angular(height, width, angle, gain.device)])
    responses = [torch.fft.ifft2(scale * angular) for scale in scales]
    del angular
    threshold = noise_threshold(responses[0].real[None], responses[0].imag[None], gain)
    for start, stop in rows_of_bands(height, width):
        part = [(one.real[None, start:stop].clone(), one.imag[None, start:stop].clone()) for one in responses]
        accumulate(sums[:, None, start:stop], part, threshold, angle)


def _scale_spectra(image: Tensor) -> list[Tensor]:
    """The spectrum under each of the four radial filters, complex64."""
    spectra = torch.fft.fft2(image.double())
    scales = []
    for length in WAVELENGTHS:
        scale = torch.empty(image.shape, dtype=torch.complex64, device=image.device)
        height, width = image.shape
        radial = _radial(height, width, length, image.device)
        for (start, stop), rows in zip(rows_of_bands(height, width), radial, strict=True):
            scale[start:stop] = spectra[start:stop] * rows
        scales.append(scale)
    return scales


def _radial(height: int, width: int, length: float, device: torch.device) -> Iterator[Tensor]:
    """Rows of the filter of one wavelength, band by band."""
    y, x = frequency_axes(height, width, device)
    for start, stop in rows_of_bands(height, width):
        radius = torch.hypot(y[start:stop, None], x)
        if not start:
            radius[0, 0] = 1.0
        rows = torch.exp(-(torch.log(radius * length) ** 2) / (2 * math.log(SIGMA_ON_F) ** 2))
        rows *= low_pass_rows(height, width, start, stop, device)
        if not start:
            rows[0, 0] = 0.0
        yield rows


def _angular(height: int, width: int, angle: float, device: torch.device) -> Iterator[Tensor]:
    """Rows of the filter of one orientation, band by band."""
    for start, stop in rows_of_bands(height, width):
        yield _angular_rows(height, width, angle, torch.arange(start, stop, device=device))


def _angular_rows(height: int, width: int, angle: float, rows: Tensor) -> Tensor:
    y, x = frequency_axes(height, width, rows.device)
    turn = torch.atan2(-y[rows, None], x).sub_(angle)
    turn.add_(math.pi).remainder_(2 * math.pi).sub_(math.pi)
    return turn.square_().div_(-2 * ANGULAR_SIGMA**2).exp_()


@lru_cache(maxsize=4)
def _noise_gains(height: int, width: int, device: torch.device) -> tuple[Tensor, ...]:
    """Of each orientation, see :class:`~sigforge.metrics.phase_congruency.LogGaborBank`."""
    finest = torch.cat(list(_radial(height, width, WAVELENGTHS[0], device)))
    summed = finest.clone()
    for length in WAVELENGTHS[1:]:
        for (start, stop), rows in zip(
            rows_of_bands(height, width), _radial(height, width, length, device), strict=True
        ):
            summed[start:stop] += rows
    return tuple(_noise_gain(finest, summed, angle) for angle in ORIENTATIONS)


def _noise_gain(finest: Tensor, summed: Tensor, angle: float) -> Tensor:
    height, width = finest.shape
    energy = total = torch.zeros((), dtype=torch.float64, device=finest.device)
    for start, stop in rows_of_bands(height, width):
        rows = torch.arange(start, stop, device=finest.device)
        mirrored = (-rows) % height
        angular = _angular_rows(height, width, angle, rows)
        opposite = summed[mirrored] * _angular_rows(height, width, angle, mirrored)
        even = (summed[start:stop] * angular + opposite.flip(-1).roll(1, -1)) / 2
        energy = energy + even.square().sum()
        total = total + (finest[start:stop] * angular).square().sum()
    return (energy / total).float()
