"""Medical pairs: CT, PET or SPECT beside MRI of one axial slice of a made-up head.

Head: ellipses after Shepp & Logan (IEEE Trans. Nucl. Sci. 1974), with what a fusion network looks at added: scalp fat,
two tables of bone with marrow between, a folded cortex (sulci are the zero lines of a random field), ventricles, deep
grey nuclei and, often, a lesion. Every tissue is a map of volume fractions, so each modality images the same anatomy.

- MRI: spin echo, S = PD (1 - exp(-TR/T1)) exp(-TE/T2), or FLAIR with an inversion before it; receive-coil bias field,
  texture, Rician noise. Cortical bone and air give nothing.
- CT: Hounsfield units, beam-hardening haze inside the skull, noise of 6 HU, one wide window: bone white, brain nearly
  flat.
- PET (FDG) and SPECT (HMPAO): tracer uptake, scanner blur of 6 and 10 mm FWHM, Poisson counts, reconstruction filter,
  and a pseudo-colour scale. The head is 190 mm long.

Tissue values are rounded textbook ones (relaxation at 1.5 T), good to some ten per cent: enough for a picture.
"""

import math
from collections.abc import Iterable
from functools import reduce

import cv2
import numpy as np

from sigforge.core.seeds import rng_of
from sigforge.dataset.sources.scenes.base import Image, Pixels, SimulatedScene, gaussian_blur, smooth_noise, to_bytes

BASES = tuple(f"head{number:02d}" for number in range(12))
SUBTASKS = ("mri-ct", "mri-pet", "mri-spect")
HEAD_MM = 190.0
HEAD_SHARE = 0.86  # of the picture's height; slices near the top of the head are smaller
# Right half of the deep structures, in head units: x, y, half width, half height, turn in radians.
NUCLEI = ((0.10, 0.08, 0.075, 0.12, -0.3), (0.15, -0.17, 0.05, 0.10, -0.2), (0.26, 0.0, 0.055, 0.16, 0.25))
VENTRICLES = ((0.075, -0.17, 0.035, 0.15, -0.35), (0.13, 0.22, 0.045, 0.17, 0.3), (0.07, 0.03, 0.03, 0.12, 0.0))

# tissue: (proton density, T1 ms, T2 ms, Hounsfield units, FDG uptake, HMPAO uptake)
TISSUES = {
    "air": (0.0, 1000, 1, -1000, 0.0, 0.0),
    "skin": (0.70, 900, 45, 45, 0.15, 0.10),
    "fat": (0.90, 260, 80, -90, 0.05, 0.05),
    "bone": (0.05, 1000, 2, 1200, 0.03, 0.03),
    "marrow": (0.50, 400, 60, 550, 0.10, 0.08),
    "csf": (1.00, 4000, 1500, 8, 0.03, 0.03),
    "grey": (0.82, 950, 100, 38, 1.00, 1.00),
    "white": (0.71, 560, 80, 29, 0.32, 0.38),
    "tumour": (0.86, 1500, 150, 34, 1.35, 0.75),
    "oedema": (0.85, 1300, 160, 20, 0.22, 0.28),
    "blood": (0.80, 1300, 50, 68, 0.02, 0.02),
    "calcium": (0.20, 1000, 12, 300, 0.02, 0.02),
}
# sequence: (TR, TE, TI) in ms; TI 0 means no inversion.
SEQUENCES = {"T1": (500, 12, 0), "T2": (4000, 95, 0), "FLAIR": (9000, 110, 2400)}
# tracer: (column of TISSUES, FWHM in mm, counts in a pixel of full uptake at 128 pixels, colour scale)
TRACERS = {"pet": (4, 6.0, 220.0, "rainbow"), "spect": (5, 10.0, 60.0, "warm")}
COLOUR_SCALES = {
    "rainbow": ((0, 0, 0), (20, 10, 120), (0, 90, 220), (0, 200, 140), (150, 220, 20), (255, 190, 0), (235, 30, 10)),
    "warm": ((0, 0, 0), (60, 10, 110), (170, 20, 110), (235, 80, 30), (250, 180, 40), (255, 245, 190)),
}

Fractions = dict[str, Image]


def render(base: str, size: int, lap: int, rng: np.random.Generator, subtask: str) -> SimulatedScene:
    """One slice of the named head as (ct | pet | spect, mri); there is no reference.

    Args:
        base: name of the head, which fixes its shape and folds.
        size: side of the pictures, pixels.
        lap: not used: every slice is drawn anew.
        rng: chooses slice, pose, lesion and MRI sequence, and draws the noise.
        subtask: ``mri-ct``, ``mri-pet`` or ``mri-spect``.
    """
    tissues, lesion = head(base, size, rng)
    sequence = str(rng.choice(["T1", "T2", "T2"] if subtask == "mri-ct" else list(SEQUENCES)))
    magnetic = mri(tissues, sequence, rng)
    modality = subtask.split("-")[1]
    other = ct(tissues, rng) if modality == "ct" else emission(tissues, modality, rng)
    return SimulatedScene(
        other, magnetic, None, f"axial head phantom, {sequence} MRI and {modality.upper()}; lesion: {lesion}"
    )


def mri(tissues: Fractions, sequence: str, rng: np.random.Generator) -> Pixels:
    """Magnetic resonance picture of a slice, with bias field and Rician noise.

    Args:
        tissues: fractions (H, W) by tissue, summing to 1.
        sequence: one of ``SEQUENCES``.
        rng: draws texture, bias and noise.

    Returns:
        uint8 (H, W).
    """
    signal: Image = _weighted(fraction * echo(name, sequence) for name, fraction in tissues.items())
    size = signal.shape[0]
    texture = 1.0 + 0.02 * smooth_noise(rng, size, 40) + 0.02 * smooth_noise(rng, size, 20)
    bias = np.exp(0.10 * smooth_noise(rng, size, 2))
    signal = gaussian_blur((signal * texture * bias).astype(np.float32), 0.45 * max(size / 128, 1.0))
    signal /= np.percentile(signal, 99.5)
    noise = 0.015 * rng.standard_normal((2, size, size), dtype=np.float32)
    return to_bytes(0.95 * np.hypot(signal + noise[0], noise[1]) - 0.015)


def echo(tissue: str, sequence: str) -> float:
    """Signal of a pure tissue relative to full proton density: spin echo, after an inversion if the sequence has one.

    Example:
        >>> echo("csf", "T2") > echo("grey", "T2") > echo("white", "T2")
        True
    """
    density, t1, t2 = TISSUES[tissue][:3]
    repeat, echo_time, inversion = SEQUENCES[sequence]
    recovery = 1.0 - math.exp(-repeat / t1)
    if inversion:
        recovery = abs(1.0 - 2.0 * math.exp(-inversion / t1) + math.exp(-repeat / t1))
    return density * recovery * math.exp(-echo_time / t2)


def ct(tissues: Fractions, rng: np.random.Generator) -> Pixels:
    """Computed tomography picture, uint8 (H, W), in a window with bone white and little contrast in the brain."""
    units: Image = _weighted(fraction * TISSUES[name][3] for name, fraction in tissues.items())
    size = units.shape[0]
    haze = 60.0 * gaussian_blur(tissues["bone"], size / 20) * (1.0 - tissues["air"])
    noise = gaussian_blur(rng.standard_normal((size, size), dtype=np.float32), 0.6)
    blurred = gaussian_blur(units.astype(np.float32), 0.5 * max(size / 128, 1.0)) + haze + 6.0 * noise / noise.std()
    low, high = rng.uniform(-90.0, -40.0), rng.uniform(280.0, 600.0)
    return to_bytes((blurred - low) / (high - low))


def emission(tissues: Fractions, modality: str, rng: np.random.Generator) -> Pixels:
    """PET or SPECT picture of a slice: blurred uptake, Poisson counts, pseudo-colour on black.

    Args:
        tissues: fractions (H, W) by tissue, summing to 1.
        modality: ``pet`` or ``spect``, which fixes resolution, counts and colours (``TRACERS``).
        rng: draws the counts.

    Returns:
        uint8 (H, W, 3).
    """
    column, fwhm, counts, scale = TRACERS[modality]
    uptake: Image = _weighted(fraction * TISSUES[name][column] for name, fraction in tissues.items())
    size = uptake.shape[0]
    sigma = fwhm / 2.355 / HEAD_MM * HEAD_SHARE * size
    per_pixel = counts * (128 / size) ** 2
    counted = rng.poisson(gaussian_blur(np.maximum(uptake, 0.0).astype(np.float32), sigma) * per_pixel).astype(
        np.float32
    )
    filtered = gaussian_blur(counted, 0.5 * sigma) / per_pixel
    return colourise(filtered / np.percentile(filtered, 99.7), scale)


def colourise(values: Image, scale: str) -> Pixels:
    """Pseudo-colour (H, W, 3) of values in [0, 1] (H, W), linear between the anchors of ``COLOUR_SCALES``.

    Example:
        >>> colourise(np.array([[0.0, 1.0]]), "warm").tolist()
        [[[0, 0, 0], [255, 245, 190]]]
    """
    anchors = np.array(COLOUR_SCALES[scale], dtype=np.float64)
    at = np.linspace(0.0, 1.0, len(anchors))
    # Below three per cent lies only scatter and noise, which displays cut off.
    shown = np.where(values < 0.03, 0.0, values)
    return np.stack([np.rint(np.interp(shown, at, channel)) for channel in anchors.T], axis=-1).astype(np.uint8)


def head(base: str, size: int, rng: np.random.Generator) -> tuple[Fractions, str]:
    """One slice of the named head.

    Args:
        base: the name, which alone fixes shape and folds.
        size: side of the slice, pixels.
        rng: chooses the slice level, the pose and the lesion.

    Returns:
        tissue fractions (H, W), summing to 1, and the name of the lesion.
    """
    own = rng_of(0, "head", base)
    level = rng.uniform(0.0, 1.0)
    x, y = _coordinates(size, own, rng, level)
    breadth, skull = own.uniform(0.76, 0.84), own.uniform(0.84, 0.88)
    radius = np.hypot(x / breadth, y)
    inner = skull + 0.012 * smooth_noise(own, size, 5)
    # One picture pixel in the head's units, so that borders are anti-aliased.
    pixel = 2.0 / (size * HEAD_SHARE)
    canvas = _Canvas(size, pixel)
    for name, limit in (("skin", 1.0), ("fat", 0.98), ("bone", 0.945), ("marrow", 0.92), ("bone", inner + 0.025)):
        canvas.paint(name, limit - radius)
    canvas.paint("csf", inner - radius)
    canvas.paint("white", inner - 0.02 - radius)
    _cortex(canvas, x, y, inner - 0.02 - radius, _sulcus_distance(x, y, own, level))
    _deep(canvas, x, y, own.uniform(0.8, 1.35), level)
    lesion = _lesion(canvas, x, y, size, rng)
    return canvas.tissues, lesion


class _Canvas:
    """Tissue fractions painted one over the other; every paint keeps their sum at 1."""

    def __init__(self, size: int, pixel: float) -> None:
        self.pixel = pixel
        self.tissues = {name: np.zeros((size, size), np.float32) for name in TISSUES}
        self.tissues["air"] += 1.0

    def paint(self, name: str, distance: Image, within: Image | float = 1.0) -> None:
        """Fill where ``distance`` (head units, positive inside) says, weighted by ``within`` in [0, 1]."""
        cover = np.clip(distance / self.pixel + 0.5, 0.0, 1.0).astype(np.float32) * within
        for fraction in self.tissues.values():
            fraction *= 1.0 - cover
        self.tissues[name] += cover


def _coordinates(size: int, own: np.random.Generator, rng: np.random.Generator, level: float) -> tuple[Image, Image]:
    """Head coordinates: x to the left ear, y to the back, 1 at the scalp; posed, scaled and slightly warped."""
    rows, columns = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size * 2.0 - 1.0
    angle, scale = rng.normal(0.0, 0.05), HEAD_SHARE * (1.0 - 0.16 * level**2)
    across, down = columns - rng.normal(0.0, 0.02), rows - rng.normal(0.0, 0.02)
    x = (math.cos(angle) * across + math.sin(angle) * down) / scale
    y = (math.cos(angle) * down - math.sin(angle) * across) / scale
    # The back of the head is broader than the forehead.
    x = x * (1.0 - 0.07 * y) + 0.010 * smooth_noise(own, size, 4)
    return x, y + 0.010 * smooth_noise(own, size, 4)


def _sulcus_distance(x: Image, y: Image, own: np.random.Generator, level: float) -> Image:
    """Distance in head units to the nearest sulcus: zero lines of a field drawn over (angle, radius), mostly radial."""
    lower, upper = own.standard_normal((2, 8, 56)).astype(np.float32)
    # The two fields turn into one another, so neighbouring slices have related folds.
    drawn = math.cos(1.5 * level) * lower + math.sin(1.5 * level) * upper
    wobble = 0.13 * smooth_noise(own, x.shape[0], 14)
    angle = np.arctan2(y, x) / (2.0 * np.pi) * drawn.shape[1]
    radius = np.hypot(x, y) * drawn.shape[0]
    field = cv2.remap(drawn, angle + 6.0 * wobble, radius + wobble, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    slope = np.hypot(*np.gradient(field)) * (x.shape[0] * HEAD_SHARE / 2.0)
    return np.abs(field) / np.maximum(slope, 3.0)


def _cortex(canvas: _Canvas, x: Image, y: Image, depth: Image, sulcus: Image) -> None:
    """Grey ribbon along the surface, the sulci and the fissure, with fluid inside the sulci."""
    inside = np.clip(depth / canvas.pixel + 0.5, 0.0, 1.0)
    fissure = 0.010 - np.abs(x) - 0.1 * np.clip(0.33 - np.abs(y), 0.0, None)
    reach = np.clip(1.0 - depth / 0.27, 0.0, 1.0)
    folded = np.where(depth < 0.30, 0.042 - sulcus, -1.0) + 0.05 * (np.sqrt(reach) - 1.0)
    canvas.paint("grey", np.maximum(np.maximum(0.045 - depth, folded), fissure + 0.035), inside)
    # Below their reach the sulci end a whole pixel short, or anti-aliasing would leave specks in the white matter.
    canvas.paint("csf", np.maximum(0.016 * reach - canvas.pixel * (1.0 - reach) - sulcus, fissure), inside)


def _deep(canvas: _Canvas, x: Image, y: Image, width: float, level: float) -> None:
    """Deep grey nuclei, ventricles and calcified choroid, mirrored; they vanish towards the top of the head."""
    side, low, high = np.abs(x), min(max(1.15 - 1.3 * level, 0.0), 1.0), min(1.4 - 1.3 * level, 1.0)
    for cx, cy, rx, ry, turn in NUCLEI:
        canvas.paint("grey", _ellipse(side, y, cx, cy, rx * low, ry * low, turn), 0.9)
    for cx, cy, rx, ry, turn in VENTRICLES:
        canvas.paint("csf", _ellipse(side, y, cx, cy, rx * width * high, ry * high, turn))
    canvas.paint("csf", _ellipse(side, y, 0.0, 0.08, 0.014 * width * low, 0.09 * low, 0.0))
    canvas.paint("calcium", _ellipse(side, y, 0.14, 0.24, 0.022 * low, 0.04 * low, 0.3), 0.8)
    canvas.paint("calcium", _ellipse(side, y, 0.0, 0.21, 0.016 * low, 0.02 * low, 0.0), 0.8)
    bone = canvas.tissues["bone"] + canvas.tissues["marrow"]
    canvas.paint("air", _ellipse(side, y, 0.05, -0.90, 0.06 * low, 0.025 * low, 0.1), bone)


def _lesion(canvas: _Canvas, x: Image, y: Image, size: int, rng: np.random.Generator) -> str:
    """A tumour with oedema, a haemorrhage or an infarct in two slices of three, only where there is brain."""
    kind = str(rng.choice(["none", "none", "tumour", "tumour", "haemorrhage", "infarct"]))
    angle, distance, extent = rng.uniform(0.0, 6.28), rng.uniform(0.25, 0.55), rng.uniform(0.10, 0.2)
    reach = np.hypot(x - 0.75 * distance * math.cos(angle), y - distance * math.sin(angle))
    ragged = extent * (1.0 + 0.18 * smooth_noise(rng, size, 10)) - reach
    brain = canvas.tissues["grey"] + canvas.tissues["white"]
    if kind == "tumour":
        canvas.paint("oedema", ragged + 0.4 * extent, brain * 0.8)
        canvas.paint("tumour", ragged, brain)
        canvas.paint("oedema", ragged - 0.6 * extent, brain)
    elif kind == "haemorrhage":
        canvas.paint("oedema", ragged + 0.2 * extent, brain * 0.8)
        canvas.paint("blood", ragged, brain)
    elif kind == "infarct":
        canvas.paint("oedema", ragged + 0.3 * extent, brain * 0.9)
    return kind


def _ellipse(x: Image, y: Image, cx: float, cy: float, rx: float, ry: float, turn: float) -> Image:
    """Approximate signed distance to a turned ellipse, positive inside; a shrunken one is nowhere."""
    if min(rx, ry) < 0.004:
        return np.full_like(x, -1.0)
    across = math.cos(turn) * (x - cx) + math.sin(turn) * (y - cy)
    along = math.cos(turn) * (y - cy) - math.sin(turn) * (x - cx)
    return (1.0 - np.hypot(across / rx, along / ry)) * min(rx, ry)


def _weighted(parts: Iterable[Image]) -> Image:
    return reduce(np.add, parts)
