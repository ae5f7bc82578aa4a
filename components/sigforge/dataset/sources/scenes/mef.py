"""Multi-exposure pairs: one radiance scene photographed twice through a model camera.

Radiance: the photograph is dithered by half a code against banding, linearised (sRGB) and expanded, luminance Y
becoming Y^g with g in [1.1, 1.4], then lit by a smooth field with a deviation of 0.7 EV, so that no single exposure
holds it. Camera: electrons = full well x exposure x radiance, clipped at the full well; shot noise (normal
approximation of Poisson, exact enough above some ten electrons), read noise; then a response curve (sRGB with an
S-shaped toe and shoulder) and 8 bits. Metering puts the mean luminance on mid-grey, 18 %; ``under`` and ``over`` lie
EV stops below and above.

Constants: full well 12000 e-, read noise 4 e- (a small consumer sensor); -2.5 and +1.8 EV, near the brackets of
published multi-exposure sets.
"""

import numpy as np

from sigforge.dataset.sources import demo
from sigforge.dataset.sources.scenes.base import (
    Image,
    Pixels,
    SimulatedScene,
    display,
    linear_light,
    luminance,
    smooth_noise,
    to_bytes,
    window,
)

MODALITIES = ("under", "over")
BASES = ("astronaut", "chelsea", "coffee", "motorcycle", "rocket")
SUBTASKS = ("",)
FULL_WELL = 12000.0
READ_NOISE = 4.0
MID_GREY = 0.18
LIGHT_STOPS = 0.7


def render(base: str, size: int, lap: int, rng: np.random.Generator, subtask: str = "") -> SimulatedScene:
    """The under- and the over-exposed picture of one crop; the reference is the crop itself, well exposed.

    Args:
        base: name of the photograph.
        size: side of the pictures, pixels.
        lap: which crop of the photograph, counted from 0.
        rng: chooses the crop, the light and both exposures, and draws the noise.
        subtask: the task has none.
    """
    photo = window(base, size, lap, rng).cut(demo.base_image(base))
    scene = radiance(photo, rng)
    darker, lighter = -2.5 + rng.uniform(-0.5, 0.5), 1.8 + rng.uniform(-0.4, 0.4)
    note = f"one radiance map exposed at {darker:+.1f} EV and {lighter:+.1f} EV through one response curve"
    return SimulatedScene(expose(scene, darker, rng), expose(scene, lighter, rng), photo, note)


def radiance(photo: Pixels, rng: np.random.Generator) -> Image:
    """Scene radiance (H, W, 3), mean luminance 0.18, with more range than the photograph."""
    dithered = np.clip(photo + rng.uniform(-0.5, 0.5, photo.shape), 0.0, 255.0)
    light = np.exp2(LIGHT_STOPS * smooth_noise(rng, photo.shape[0], 2))
    linear = linear_light(dithered)
    # Expanding luminance alone keeps the colours; a power of each channel would oversaturate them.
    gain = np.maximum(luminance(linear), 1e-4) ** np.float32(rng.uniform(0.1, 0.4)) * light
    scene = linear * gain[..., None]
    return scene * (MID_GREY / max(float(luminance(scene).mean()), 1e-4))


def expose(scene: Image, stops: float, rng: np.random.Generator) -> Pixels:
    """Photograph a scene: shot and read noise, saturation, the camera's response curve.

    Args:
        scene: linear radiance, (H, W, 3); 1 just fills the sensor at the metered exposure.
        stops: EV from the metered exposure; one more doubles the light.
        rng: draws the noise.

    Returns:
        sRGB-like codes, uint8 (H, W, 3).
    """
    electrons = np.minimum(scene * (2.0**stops * FULL_WELL), FULL_WELL)
    noise = rng.standard_normal(scene.shape, dtype=np.float32)
    signal = (electrons + noise * np.sqrt(electrons + READ_NOISE**2)) / FULL_WELL
    return respond(signal)


def respond(signal: Image) -> Pixels:
    """Camera response: sRGB bent into an S by a third of smoothstep, monotone on [0, 1]."""
    shown = display(signal)
    return to_bytes(shown + (shown * shown * (3.0 - 2.0 * shown) - shown) / 3.0)
