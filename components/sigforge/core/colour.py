"""RGB <-> YCbCr, and what each task does with colour.

Full-range BT.601 as JPEG uses it (ITU-T T.871): all planes in [0, 1], chroma centred at 0.5. Networks and metrics see
luma; chroma goes around them and is put back by :func:`restore_colour`.

Every function takes NumPy arrays ``(H, W)`` or ``(H, W, 3)``, or torch batches ``(B, 1, H, W)`` or ``(B, 3, H, W)``,
and returns the same kind. The arithmetic is shared: it only ever sees single planes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from sigforge.core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Image = TypeVar("Image", np.ndarray, "Tensor")
"""What comes in goes out."""

# Weights of R, G, B in luma (BT.601), and the scale that brings B - Y and R - Y into [-0.5, 0.5].
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_CB_SCALE, _CR_SCALE = 2 * (1 - _BLUE), 2 * (1 - _RED)
NEUTRAL = 0.5


def rgb_to_ycbcr(image: Image) -> Image:
    """Convert RGB in [0, 1] to Y, Cb, Cr in [0, 1] (T.871, section 7).

    Raises:
        ValueError: the image has no three channels.

    Example:
        >>> rgb_to_ycbcr(np.array([[[1.0, 0.0, 0.0]]])).round(4)
        array([[[0.299 , 0.3313, 1.    ]]])
    """
    red, green, blue = _planes(image)
    y = _luma(red, green, blue)
    return _stack(y, NEUTRAL + (blue - y) / _CB_SCALE, NEUTRAL + (red - y) / _CR_SCALE)


def ycbcr_to_rgb(image: Image) -> Image:
    """Invert :func:`rgb_to_ycbcr` exactly; values outside [0, 1] are kept, so clamp before saving.

    Raises:
        ValueError: the image has no three channels.
    """
    y, cb, cr = _planes(image)
    red, blue = y + _CR_SCALE * (cr - NEUTRAL), y + _CB_SCALE * (cb - NEUTRAL)
    return _stack(red, (y - _RED * red - _BLUE * blue) / _GREEN, blue)


def luma(image: Image) -> Image:
    """Return the Y plane: ``(H, W)`` or ``(B, 1, H, W)``; a grey image is its own luma.

    Example:
        >>> luma(np.full((2, 2, 3), 0.25, np.float32)).shape
        (2, 2)
    """
    return _luma(*_planes(image)) if _has_colour_channels(image) else image


def is_grey(image: Image) -> bool:
    """True when the image has one channel, or three equal ones; a batch is grey when all its images are."""
    if not _has_colour_channels(image):
        return True
    red, green, blue = _planes(image)
    return bool((red == green).all() and (green == blue).all())


def carry_chroma(a: Image, b: Image) -> tuple[Image, Image] | None:
    r"""Fuse the chroma of two sources, each plane by its distance from neutral.

    .. math:: C = 0.5 + \frac{|d_a| d_a + |d_b| d_b}{|d_a| + |d_b|}, \qquad d = C_\cdot - 0.5

    and 0.5 where both are neutral. A grey source has d = 0, so a lone coloured source keeps its chroma.

    Returns:
        The Cb and Cr planes, or None when neither source is coloured.
    """
    coloured = [_chroma_offsets(image) for image in (a, b) if not is_grey(image)]
    if not coloured:
        return None
    if len(coloured) == 1:
        return NEUTRAL + coloured[0][0], NEUTRAL + coloured[0][1]
    (cb, cr), (other_cb, other_cr) = coloured
    return NEUTRAL + _weighted_mean(cb, other_cb), NEUTRAL + _weighted_mean(cr, other_cr)


def chroma_of_second(a: Image, b: Image) -> tuple[Image, Image] | None:
    """The chroma of ``b``, whatever colours ``a`` was painted in; of ``a`` where ``b`` is grey.

    Args:
        a: first source, in [0, 1].
        b: second source, likewise.

    Returns:
        The Cb and Cr planes, or None when neither source is coloured.
    """
    return carry_chroma(b, b) if not is_grey(b) else carry_chroma(a, b)


@dataclass(frozen=True)
class ColourPolicy:
    """What one task does with colour.

    Args:
        task: its name.
        chroma: makes the fused Cb and Cr from the two sources, or None for a grey result.
        synthesis: what PLGN does with the photograph's chroma for each modality: ``modulate`` it by subband modulators
            of its own, ``keep`` it, or ``drop`` it.
        summary: one line for reports.
    """

    task: str
    chroma: Callable[[Any, Any], tuple[Any, Any] | None]
    synthesis: Mapping[str, Literal["modulate", "keep", "drop"]]
    summary: str


_CARRIED = "the mean of both, weighted by distance from neutral"
COLOUR_POLICIES: dict[str, ColourPolicy] = {
    policy.task: policy
    for policy in (
        ColourPolicy(
            "vif",
            chroma_of_second,
            {"ir": "drop", "vis": "keep"},
            "luma is fused; chroma is the visible image's (the infrared image is grey)",
        ),
        ColourPolicy(
            "mif",
            carry_chroma,
            {"ct": "drop", "mri": "drop", "pet": "modulate", "spect": "modulate"},
            "luma is fused; chroma is the PET or SPECT image's pseudo-colour, MRI-CT stays grey",
        ),
        ColourPolicy(
            "mfif",
            carry_chroma,
            {"near": "keep", "far": "keep"},
            f"luma is fused; chroma is {_CARRIED}",
        ),
        ColourPolicy(
            "mef",
            carry_chroma,
            {"under": "modulate", "over": "modulate"},
            f"luma is fused; chroma is {_CARRIED}",
        ),
    )
}


def colour_policy(task: str) -> ColourPolicy:
    """Return the colour policy of ``task``.

    Raises:
        UserError: no such task.
    """
    if task not in COLOUR_POLICIES:
        raise UserError(f"task {task!r} is unknown: choose one of {', '.join(COLOUR_POLICIES)}")
    return COLOUR_POLICIES[task]


def describe(task: str) -> str:
    """One line for reports: how the task's fused colour comes about.

    Example:
        >>> describe("mef")
        'mef: luma is fused; chroma is the mean of both, weighted by distance from neutral'
    """
    return f"{task}: {colour_policy(task).summary}"


def restore_colour(fused_y: Image, a: Image, b: Image, policy: ColourPolicy | str) -> Image:
    """Give a fused luma plane the colour its sources call for.

    Args:
        fused_y: fused luma in [0, 1], ``(H, W)`` or ``(B, 1, H, W)``.
        a: first source, grey or RGB, in [0, 1], of the same height and width.
        b: second source, likewise.
        policy: a policy, or the name of a task.

    Returns:
        RGB clamped to [0, 1] (what lies outside the gamut is cut); clamped luma when neither source is coloured.

    Example:
        >>> import numpy as np
        >>> grey, colour = np.full((2, 2), 0.5), np.tile([0.9, 0.1, 0.1], (2, 2, 1))
        >>> restore_colour(grey, grey, grey, "vif").shape, restore_colour(grey, grey, colour, "vif").shape
        ((2, 2), (2, 2, 3))
    """
    policy = colour_policy(policy) if isinstance(policy, str) else policy
    chroma = policy.chroma(a, b)
    return (fused_y if chroma is None else ycbcr_to_rgb(_stack(fused_y, *chroma))).clip(0, 1)


def restore_colour_of(fused_y: Image, sources: Sequence[Image], policy: ColourPolicy | str) -> Image:
    """:func:`restore_colour` for any number of sources.

    Args:
        fused_y: fused luma in [0, 1], ``(H, W)`` or ``(B, 1, H, W)``.
        sources: grey or RGB, in [0, 1], of the same height and width; two give what :func:`restore_colour` gives.
        policy: a policy, or the name of a task. Where the second source has the colour, the last coloured one has.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b, y = rng.random((4, 4, 3)), rng.random((4, 4, 3)), rng.random((4, 4))
        >>> all(np.allclose(restore_colour_of(y, [a, b], t), restore_colour(y, a, b, t)) for t in COLOUR_POLICIES)
        True
    """
    policy = colour_policy(policy) if isinstance(policy, str) else policy
    coloured = [source for source in sources if not is_grey(source)]
    if not coloured:
        grey: Image = fused_y.clip(0, 1)
        return grey
    if policy.chroma is chroma_of_second:
        coloured = coloured[-1:]
    offsets = zip(*(_chroma_offsets(source) for source in coloured), strict=True)
    chroma = (NEUTRAL + _weighted_mean(*planes) for planes in offsets)
    restored: Image = ycbcr_to_rgb(_stack(fused_y, *chroma)).clip(0, 1)
    return restored


def _luma(red: Image, green: Image, blue: Image) -> Image:
    return _RED * red + _GREEN * green + _BLUE * blue


def _chroma_offsets(image: Image) -> tuple[Image, Image]:
    _, cb, cr = _planes(rgb_to_ycbcr(image))
    return cb - NEUTRAL, cr - NEUTRAL


def _weighted_mean(*planes: Image) -> Image:
    total: Any = sum(abs(plane) for plane in planes)
    summed: Any = sum(abs(plane) * plane for plane in planes)
    mean: Image = summed / (total + (total == 0))
    return mean


def _has_colour_channels(image: Image) -> bool:
    if isinstance(image, np.ndarray):
        return image.ndim == 3 and image.shape[-1] == 3
    return image.shape[-3] == 3


def _planes(image: Image) -> tuple[Image, Image, Image]:
    """Split into three planes: ``(H, W)`` each, or ``(B, 1, H, W)`` each."""
    if not _has_colour_channels(image):
        raise ValueError(f"three channels expected, shape {tuple(image.shape)} given")
    if isinstance(image, np.ndarray):
        return image[..., 0], image[..., 1], image[..., 2]
    return image[..., 0:1, :, :], image[..., 1:2, :, :], image[..., 2:3, :, :]


def _stack(*planes: Image) -> Image:
    if isinstance(planes[0], np.ndarray):
        return np.stack(planes, axis=-1)
    from torch import cat  # process-pool workers that only read files never load torch

    return cat(planes, dim=-3)
