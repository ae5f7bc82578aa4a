"""Multi-focus pairs: one scene with depth seen through a thin lens focused near, then far.

Thin lens: a point at distance z, the lens focused on f, spreads over a disc whose diameter is proportional to
|1/f - 1/z| (similar triangles, for distances much longer than the focal length; e.g. Potmesil & Chakravarty, SIGGRAPH
1981). So all is done in inverse depth, scaled to [0, 1] (0 far, 1 near). The motorcycle has measured disparity d, and
1/z is proportional to d plus a constant; the other photographs get a plausible depth: a tilted background and, before
it, a foreground made of whole superpixels chosen by a smooth random field, so that its outline follows edges in the
picture.

Blur: the scene is cut into layers of inverse depth, each blurred by its own disc in linear light and laid over those
behind it. Behind an occluder the layer is continued by diffusion from what is visible, so a blurred foreground turns
transparent at its rim and a blurred background is not tinted by a sharp foreground.

Constants: the aperture gives what is in focus in one picture a disc of radius 2.5 to 4.5 pixels (at 128) in the other;
sensor noise 0.5 codes. Focus breathing is left out: it would break registration.
"""

import cv2
import numpy as np

from sigforge.dataset.sources import demo
from sigforge.dataset.sources.scenes.base import (
    Image,
    Pixels,
    SimulatedScene,
    display,
    gaussian_blur,
    linear_light,
    motorcycle_disparity,
    region_means,
    smooth_noise,
    superpixels,
    to_bytes,
    window,
)

MODALITIES = ("near", "far")
BASES = ("astronaut", "camera", "chelsea", "coffee", "motorcycle", "rocket")
SUBTASKS = ("",)
LAYERS = 8
NOISE_CODES = 0.5


def render(base: str, size: int, lap: int, rng: np.random.Generator, subtask: str = "") -> SimulatedScene:
    """The near-focused and the far-focused picture of one crop; the reference is the all-in-focus crop.

    Args:
        base: name of the photograph; ``motorcycle`` has a measured depth, the others a synthetic one.
        size: side of the pictures, pixels.
        lap: which crop of the photograph, counted from 0.
        rng: chooses the crop, the depth and the aperture, and draws the noise.
        subtask: the task has none.
    """
    view = window(base, size, lap, rng)
    photo = view.cut(demo.base_image(base))
    if base == "motorcycle":
        depth, origin = _normalised(view.cut(motorcycle_disparity())), "measured"
    else:
        depth, origin = synthetic_inverse_depth(photo, rng), "synthetic"
    # Focus on something that is there: one pixel in eight lies farther than `behind`, one in eight nearer than `front`.
    behind, front = (float(np.quantile(depth, share)) for share in (0.125, 0.875))
    blur = rng.uniform(2.5, 4.5) * size / 128
    aperture = blur / max(front - behind, 0.3)
    near, far = (_noisy(defocus(photo, depth, focus, aperture), rng) for focus in (front, behind))
    return SimulatedScene(
        near, far, photo, f"thin lens, {origin} depth, blur disc of radius {blur:.1f} px between near and far"
    )


def synthetic_inverse_depth(photo: Pixels, rng: np.random.Generator) -> Image:
    """Inverse depth in [0, 1] (H, W): tilted background below 0.4, one or more foreground objects above 0.7."""
    size = photo.shape[0]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    background = 0.17 + 0.3 * y * rng.uniform(0.3, 1.0) + 0.15 * x * rng.uniform(-1.0, 1.0)
    labels = superpixels(photo, 60)
    # Objects stand on the ground: the field leans towards the bottom and the middle of the picture.
    field = smooth_noise(rng, size, 3) + 2.0 * y - 4.0 * x * x
    scores = region_means(field, labels)
    chosen = (scores > np.quantile(scores, rng.uniform(0.5, 0.7)))[labels]
    mask = gaussian_blur(chosen.astype(np.float32), size / 64) > 0.5
    return np.where(mask, 0.85 + 0.25 * y, background).clip(0.0, 1.0).astype(np.float32)


def defocus(photo: Pixels, inverse_depth: Image, focus: float, aperture: float) -> Image:
    """What a thin lens sees, in linear light (H, W, 3).

    Args:
        photo: uint8 (H, W, 3), sharp everywhere.
        inverse_depth: (H, W) in [0, 1], 1 nearest.
        focus: inverse depth that is sharp.
        aperture: radius in pixels of the blur disc one unit of inverse depth away from ``focus``.
    """
    sharp = linear_light(photo)
    layer = np.minimum((inverse_depth * LAYERS).astype(int), LAYERS - 1)
    seen = np.zeros_like(sharp)
    for index in np.unique(layer):
        disc = _disc(aperture * abs((index + 0.5) / LAYERS - focus))
        # The next layer still belongs to the same surface where depth is continuous; only what is nearer occludes.
        behind = _continue(sharp, layer <= index + 1)
        cover = cv2.filter2D((layer >= index).astype(np.float32), -1, disc, borderType=cv2.BORDER_REFLECT_101)
        light = cv2.filter2D(behind * (layer >= index)[..., None], -1, disc, borderType=cv2.BORDER_REFLECT_101)
        seen = seen * (1.0 - cover[..., None]) + light
    return seen


def _continue(image: Image, visible: np.ndarray) -> Image:
    """The image where visible, and a smooth continuation of it elsewhere (pull-push over a pyramid)."""
    weight = visible.astype(np.float32)[..., None]
    if visible.all() or image.shape[0] <= 2:
        return image
    height, width = image.shape[:2]
    half = ((width + 1) // 2, (height + 1) // 2)
    small_weight = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)[..., None]
    small = cv2.resize(image * weight, half, interpolation=cv2.INTER_AREA) / np.maximum(small_weight, 1e-6)
    coarse = cv2.resize(_continue(small, small_weight[..., 0] > 0), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(visible[..., None], image, coarse)


def _disc(radius: float) -> Image:
    """Normalised disc of any radius, its rim anti-aliased; radius below half a pixel is no blur."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0.0, 1.0).astype(np.float32)
    return disc / disc.sum()


def _normalised(disparity: Image) -> Image:
    """Disparity of a crop stretched to [0, 1]; the aperture is chosen for each crop anyway."""
    low, high = np.percentile(disparity, (2, 98))
    return np.clip((disparity - low) / max(high - low, 1e-3), 0.0, 1.0)


def _noisy(linear: Image, rng: np.random.Generator) -> Pixels:
    """8-bit picture of linear light with a little sensor noise."""
    return to_bytes(display(linear) + NOISE_CODES / 255.0 * rng.standard_normal(linear.shape, dtype=np.float32))
