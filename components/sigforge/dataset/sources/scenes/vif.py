"""Infrared and visible pairs: a dusk scene with warm bodies hidden in it.

Infrared, 8 to 14 um: every superpixel of the photograph is a surface with a temperature (air +- a few kelvin, following
its colour, not its shadows or paint texture) and an emissivity (about 0.95; in some scenes one colour is bare metal,
0.6, and mirrors the cold sky). Radiance = e B(T) + (1 - e) B(sky), B being Planck's law integrated over the band.
People-like and engine-like bodies, 291 to 330 K, stand in front. The detector adds its blur (Gaussian of 0.6 pixel at
128), temporal noise (NETD 70 mK) and column noise (30 mK, uncooled microbolometer); gain control maps to 8 bits.

Visible: the same photograph lit by a bluish dusk and one lamp away from the bodies (mean linear luminance 0.02 to
0.05), with shot and read noise. The bodies wear the colours of what is behind them and are all but lost.
"""

from dataclasses import dataclass

import numpy as np
from skimage.color import rgb2lab

from sigforge.dataset.sources import demo
from sigforge.dataset.sources.scenes.base import (
    Image,
    Pixels,
    SimulatedScene,
    encode,
    gaussian_blur,
    guided,
    linear_light,
    luminance,
    region_means,
    smooth_noise,
    superpixels,
    to_bytes,
    window,
)

MODALITIES = ("ir", "vis")
BASES = ("astronaut", "camera", "chelsea", "coffee", "motorcycle", "rocket")
SUBTASKS = ("",)
BAND_UM = (8.0, 14.0)
SKY_K = 255.0
NETD_K, COLUMN_K = 0.07, 0.03
FULL_WELL, READ_NOISE = 2500.0, 3.0


@dataclass(frozen=True)
class Bodies:
    """Warm bodies in front of the scene: where they are, (H, W) in [0, 1], and how warm, in kelvin (H, W)."""

    cover: Image
    kelvin: Image


def render(base: str, size: int, lap: int, rng: np.random.Generator, subtask: str = "") -> SimulatedScene:
    """The thermal and the dusk picture of one crop; there is no reference.

    Args:
        base: name of the photograph.
        size: side of the pictures, pixels.
        lap: which crop of the photograph, counted from 0.
        rng: chooses the crop, the warm bodies and the light, and draws the noise.
        subtask: the task has none.
    """
    photo = window(base, size, lap, rng).cut(demo.base_image(base))
    bodies, names = warm_bodies(size, rng)
    infrared = thermal(photo, bodies, rng)
    visible = dusk(photo, bodies, rng)
    return SimulatedScene(
        infrared, visible, None, f"8-14 um radiance and dusk photograph; warm bodies: {', '.join(names)}"
    )


def band_radiance(kelvin: np.ndarray) -> Image:
    """Black-body radiance in 8 to 14 um relative to 300 K, from Planck's law (valid for 200 to 400 K).

    Example:
        >>> band_radiance(np.array([290.0, 300.0, 310.0])).round(2)
        array([0.85, 1.  , 1.16], dtype=float32)
    """
    return np.interp(kelvin, _KELVIN, _RADIANCE).astype(np.float32)


def thermal(photo: Pixels, bodies: Bodies, rng: np.random.Generator) -> Pixels:
    """The infrared picture of the photograph's surfaces and the bodies before them, 8 to 14 micrometres.

    Args:
        photo: sRGB, uint8 (H, W, 3).
        bodies: cover in [0, 1] and temperature in kelvin, each (H, W).
        rng: draws temperatures, emissivities and sensor noise.

    Returns:
        uint8 (H, W), after the camera's gain control.
    """
    size = photo.shape[0]
    kelvin, emissivity = _surfaces(photo, rng)
    kelvin = kelvin * (1.0 - bodies.cover) + bodies.kelvin * bodies.cover
    emissivity = emissivity * (1.0 - bodies.cover) + 0.97 * bodies.cover
    radiance = emissivity * band_radiance(kelvin) + (1.0 - emissivity) * band_radiance(np.array(SKY_K))
    per_kelvin = float(np.diff(band_radiance(np.array([299.5, 300.5])))[0])
    noise = NETD_K * rng.standard_normal((size, size)) + COLUMN_K * rng.standard_normal(size)
    signal = gaussian_blur(radiance, 0.6 * max(size / 128, 1.0)) + (per_kelvin * noise).astype(np.float32)
    return _gain_control(signal)


def dusk(photo: Pixels, bodies: Bodies, rng: np.random.Generator) -> Pixels:
    """The visible picture at dusk, with the bodies camouflaged.

    Args:
        photo: sRGB, uint8 (H, W, 3).
        bodies: cover in [0, 1] and temperature in kelvin, each (H, W).
        rng: draws lamps, light level and sensor noise.

    Returns:
        uint8 (H, W, 3).
    """
    size = photo.shape[0]
    scene = linear_light(photo)
    camouflage = 0.9 * (0.5 * scene + 0.5 * gaussian_blur(scene, size / 24))
    scene = scene + bodies.cover[..., None] * (camouflage - scene)
    lit = scene * _illumination(size, bodies, rng)
    lit *= rng.uniform(0.02, 0.05) / max(float(luminance(lit).mean()), 1e-4)
    electrons = np.clip(lit, 0.0, 1.0) * FULL_WELL
    noise = rng.standard_normal(lit.shape, dtype=np.float32) * np.sqrt(electrons + READ_NOISE**2)
    return encode((electrons + noise) / FULL_WELL)


def warm_bodies(size: int, rng: np.random.Generator) -> tuple[Bodies, list[str]]:
    """One to three bodies somewhere in the lower two thirds of the picture, and what each is."""
    cover, kelvin = np.zeros((size, size), np.float32), np.full((size, size), 300.0, np.float32)
    names = []
    for place in rng.permutation(3)[: rng.integers(1, 4)]:
        kind = "person" if rng.random() < 0.7 else "engine"
        height = rng.uniform(0.28, 0.5) if kind == "person" else rng.uniform(0.13, 0.2)
        foot = (0.18 + 0.32 * place + rng.uniform(-0.06, 0.06), rng.uniform(0.65, 0.95))
        mirror = rng.choice([-1.0, 1.0])
        for x0, y0, x1, y1, radius, warmth in _person(rng) if kind == "person" else _ENGINE:
            start, end = ((foot[0] + mirror * x * height, foot[1] - y * height) for x, y in ((x0, y0), (x1, y1)))
            part = _capsule(size, start, end, radius * height)
            kelvin += part * (warmth + rng.normal(0.0, 0.6) - kelvin)
            cover = np.maximum(cover, part)
        names.append(kind)
    # Heat spreads between limb and limb, tin and tin: no hard seams inside a body.
    return Bodies(cover, gaussian_blur(kelvin, size / 100)), names


# Capsules in units of the body's height, measured from its foot: x0, y0, x1, y1, radius, kelvin. Clothes and hair lie
# between skin (306 K) and air; a running engine's bonnet has 316 K, its exhaust 330 K, its tyres 302 K.
_ENGINE = (
    (-0.85, 0.42, 0.9, 0.42, 0.30, 296.0),
    (-0.15, 0.75, 0.45, 0.75, 0.24, 291.0),
    (-0.85, 0.48, -0.6, 0.52, 0.22, 316.0),
    (1.15, 0.2, 1.2, 0.2, 0.07, 330.0),
    (-0.62, 0.17, -0.62, 0.17, 0.18, 302.0),
    (0.65, 0.17, 0.65, 0.17, 0.18, 302.0),
)


def _person(rng: np.random.Generator) -> tuple[tuple[float, ...], ...]:
    """Capsules of a person in mid-stride or standing; later ones lie before earlier ones."""
    stride, swing, lean = rng.uniform(0.0, 0.13), rng.uniform(-0.12, 0.12), rng.uniform(-0.02, 0.04)
    hip, neck = 0.48, 0.80
    return (
        (0.03, hip, 0.03 + stride, 0.04, 0.040, 298.0),
        (-0.03, hip, -0.03 - stride, 0.04, 0.040, 299.0),
        (lean + 0.075, neck - 0.05, 0.10 - swing, 0.47, 0.028, 300.0),
        (0.0, hip, lean, neck - 0.08, 0.085, 301.0),
        (lean - 0.075, neck - 0.05, -0.10 + swing, 0.47, 0.030, 301.0),
        (-0.10 + swing, 0.47, -0.10 + swing, 0.45, 0.026, 305.0),
        (lean, neck - 0.03, 1.4 * lean, 0.88, 0.035, 305.0),
        (1.4 * lean, 0.90, 1.5 * lean, 0.935, 0.060, 306.0),
    )


def _surfaces(photo: Pixels, rng: np.random.Generator) -> tuple[Image, Image]:
    """Temperature in kelvin and emissivity of what the photograph shows, each (H, W)."""
    size = photo.shape[0]
    labels = superpixels(photo, 150)
    lab = rgb2lab(photo)
    colour = np.stack([region_means(channel, labels) for channel in np.moveaxis(lab, -1, 0)], axis=-1)
    # Surfaces of one colour share a temperature; yellow and red (skin, fur, wood, fire) lean warm, blue (sky) cold.
    by_hue = 0.13 * np.clip(colour[:, 2], -40.0, 40.0) + rng.uniform(-0.04, 0.04) * colour[:, 0]
    by_hue += 1.5 * np.sin(colour @ rng.normal(0.0, 0.05, 3) + rng.uniform(0.0, 6.28))
    shiny = np.exp(-np.square(colour - colour[rng.integers(len(colour))]).sum(axis=1) / 300.0)
    emissivity = 0.96 - (0.35 if rng.random() < 0.4 else 0.02) * shiny
    lightness = (lab[..., 0] / 100.0).astype(np.float32)
    kelvin, emissivity = (
        guided(values[labels].astype(np.float32), lightness, max(size // 40, 2), 0.002)
        for values in (by_hue, emissivity)
    )
    drift = 0.7 * smooth_noise(rng, size, 3) + np.linspace(-1.5, 1.5, size, dtype=np.float32)[:, None]
    return kelvin + drift + rng.uniform(281.0, 287.0), emissivity


def _gain_control(signal: Image) -> Pixels:
    """8-bit display: half linear between percentiles, half plateau equalisation for the sake of the background."""
    low, high = np.percentile(signal, (0.2, 99.8))
    scaled = np.clip((signal - low) / (high - low), 0.0, 1.0)
    counts = np.histogram(scaled, bins=256, range=(0.0, 1.0))[0]
    # The plateau (three times the mean bin) keeps a large even background from taking all the codes.
    share = np.minimum(counts, 3.0 * counts.mean()).cumsum()
    equalised = np.interp(scaled, np.linspace(0.0, 1.0, 257), np.append(0.0, share / share[-1]))
    return to_bytes(0.03 + 0.94 * (0.5 * scaled + 0.5 * equalised))


def _illumination(size: int, bodies: Bodies, rng: np.random.Generator) -> Image:
    """Bluish ambient light plus one warm lamp (H, W, 3), the lamp on the emptiest of a few places."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    places = rng.uniform(0.1, 0.9, (4, 2)) * (1.0, 0.6)
    pools = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / 0.05) for px, py in places]
    lamp = min(pools, key=lambda pool: float((pool * bodies.cover).sum()))
    ambient = np.array([0.80, 0.95, 1.20], np.float32)
    tungsten = rng.uniform(0.5, 2.5) * np.array([1.3, 1.0, 0.6], np.float32)
    return ambient + lamp[..., None] * tungsten


def _capsule(size: int, start: tuple[float, float], end: tuple[float, float], radius: float) -> Image:
    """Anti-aliased thick line with round ends; (x, y) and radius as shares of the picture."""
    rows, columns = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((columns - start[0]) * dx + (rows - start[1]) * dy) / max(dx * dx + dy * dy, 1e-9), 0.0, 1.0)
    distance = np.hypot(columns - start[0] - along * dx, rows - start[1] - along * dy)
    return np.clip((radius - distance) * size + 0.5, 0.0, 1.0).astype(np.float32)


def _planck_table() -> tuple[np.ndarray, np.ndarray]:
    """Band radiance for 200 to 400 K relative to 300 K; 14387.77 um K is the second radiation constant."""
    kelvin = np.arange(200.0, 400.5, 0.5)
    um = np.linspace(*BAND_UM, 121)
    spectral = um**-5 / np.expm1(14387.77 / (um * kelvin[:, None]))
    total = spectral.sum(axis=1)
    return kelvin, total / total[kelvin == 300.0]


_KELVIN, _RADIANCE = _planck_table()
