"""Fusing images: a method on luma, colour restored by the task's policy."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sigforge.core.colour import luma, restore_colour, restore_colour_of
from sigforge.core.images import read_image

LumaFusion = Callable[[Tensor, Tensor], Tensor]
"""Two lumas (B, 1, H, W) in [0, 1] to their fusion, same shape and range."""


def fuse_arrays(fuse: LumaFusion, a: np.ndarray, b: np.ndarray, task: str, *, device: str = "cpu") -> np.ndarray:
    """Fuse two registered images of any size into one; coloured if a source is.

    Args:
        fuse: two lumas (B, 1, H, W) in [0, 1] to one, such as :meth:`FusionMethod.fuse`.
        a: (H, W) or (H, W, 3) in [0, 1].
        b: likewise, of the same height and width.
        task: fixes where the colour comes from, see :func:`sigforge.core.colour.restore_colour`.
        device: ``cpu`` or ``cuda``, where ``fuse`` runs.

    Returns:
        (H, W) or (H, W, 3) in [0, 1], float32.

    Raises:
        ValueError: the images differ in size.

    Example:
        >>> from sigforge.methods.registry import get_method
        >>> infrared, visible = np.full((8, 9), 0.5, np.float32), np.zeros((8, 9, 3), np.float32)
        >>> visible[..., 0] = 0.9
        >>> fuse_arrays(get_method("max").fuse, infrared, visible, "vif").shape
        (8, 9, 3)
    """
    return fuse_batch(fuse, [(a, b)], task, device=device)[0]


def fuse_batch(
    fuse: LumaFusion, pairs: Sequence[tuple[np.ndarray, np.ndarray]], task: str, *, device: str = "cpu"
) -> list[np.ndarray]:
    """:func:`fuse_arrays` on several pairs of one size, fused together.

    Args:
        fuse: two lumas (B, 1, H, W) in [0, 1] to one.
        pairs: images (H, W) or (H, W, 3) in [0, 1], all of one height and width.
        task: fixes where the colour comes from.
        device: ``cpu`` or ``cuda``.

    Returns:
        one image for each pair, in order.

    Raises:
        ValueError: the images of a pair differ in size.
    """
    for a, b in pairs:
        if a.shape[:2] != b.shape[:2]:
            raise ValueError(f"images of different size: {a.shape[:2]} and {b.shape[:2]}")
    sides = (torch.from_numpy(np.stack([_plane(image) for image in side])) for side in zip(*pairs, strict=True))
    fused = fuse(*(planes[:, None].to(device) for planes in sides))[:, 0].cpu().numpy()
    return [restore_colour(plane, a, b, task) for plane, (a, b) in zip(fused, pairs, strict=True)]


def fuse_sources(
    fuse: Callable[..., Tensor], sources: Sequence[np.ndarray], task: str, *, device: str = "cpu"
) -> np.ndarray:
    """Fuse two or more registered images of any size into one; coloured if a source is.

    Args:
        fuse: lumas (B, 1, H, W) in [0, 1], one argument each, to one, such as :meth:`FusionMethod.fuse`.
        sources: (H, W) or (H, W, 3) in [0, 1], all of one height and width.
        task: fixes where the colour comes from, see :func:`sigforge.core.colour.restore_colour_of`.
        device: ``cpu`` or ``cuda``, where ``fuse`` runs.

    Raises:
        ValueError: the images differ in size, or the method does not take so many.
    """
    if len({source.shape[:2] for source in sources}) > 1:
        raise ValueError(f"images of different size: {', '.join(str(source.shape[:2]) for source in sources)}")
    planes = (torch.from_numpy(_plane(source))[None, None].to(device) for source in sources)
    return restore_colour_of(fuse(*planes)[0, 0].cpu().numpy(), sources, task)


def fuse_files(fuse: LumaFusion, a: Path | str, b: Path | str, task: str, *, device: str = "cpu") -> np.ndarray:
    """:func:`fuse_arrays` on two image files.

    Args:
        fuse: two lumas (B, 1, H, W) in [0, 1] to one.
        a: file of the first image.
        b: file of the second.
        task: fixes where the colour comes from.
        device: ``cpu`` or ``cuda``.

    Raises:
        ImageError: a file cannot be read.
        ValueError: the images differ in size.
    """
    return fuse_arrays(fuse, read_image(a)[0], read_image(b)[0], task, device=device)


def _plane(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(luma(image), dtype=np.float32)
