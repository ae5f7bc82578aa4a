"""Fusing images: a method on luma, colour restored by the task's policy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.colour import luma, restore_colour
from components.images import read_image

LumaFusion = Callable[[Tensor, Tensor], Tensor]
"""Two lumas (B, 1, H, W) in [0, 1] to their fusion, same shape and range."""


def fuse_arrays(fuse: LumaFusion, a: np.ndarray, b: np.ndarray, task: str, *, device: str = "cpu") -> np.ndarray:
    """Fuse two registered images, (H, W) or (H, W, 3) in [0, 1], into one; coloured if a source is.

    Raises:
        ValueError: the images differ in size.
    """
    if a.shape[:2] != b.shape[:2]:
        raise ValueError(f"images of different size: {a.shape[:2]} and {b.shape[:2]}")
    planes = [torch.from_numpy(np.ascontiguousarray(luma(x), dtype=np.float32))[None, None].to(device) for x in (a, b)]
    fused = fuse(*planes)[0, 0].cpu().numpy()
    return restore_colour(fused, a, b, task)


def fuse_files(fuse: LumaFusion, a: Path | str, b: Path | str, task: str, *, device: str = "cpu") -> np.ndarray:
    """:func:`fuse_arrays` on two image files."""
    return fuse_arrays(fuse, read_image(a)[0], read_image(b)[0], task, device=device)
