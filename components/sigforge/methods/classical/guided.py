"""Guided image filter.

He, Sun & Tang, "Guided Image Filtering", IEEE TPAMI 35(6), 2013, Algorithm 1, for a grey guide.
"""

import torch
from torch import Tensor

from sigforge.methods.classical.filters import box_mean

ALONE = 2**22
"""Pixels from which on planes are filtered one after the other: each takes ten of float64."""


def guided_filter(guide: Tensor, image: Tensor, *, radius: int, eps: float) -> Tensor:
    r"""Smooth an image so that its edges follow those of a guide.

    In each window the output is :math:`a I + b` with :math:`a = \mathrm{cov}(I, p) / (\mathrm{var}(I) + \epsilon)` and
    :math:`b = \bar p - a \bar I`; a pixel takes the mean of the models of all windows that contain it.

    Args:
        guide: :math:`I`, ``(..., H, W)`` in [0, 1].
        image: :math:`p`, the same shape.
        radius: half side of the windows, in pixels; windows are cut off at the border.
        eps: regulariser in squared intensity; guide contrast well below its square root is smoothed away.

    Returns:
        The filtered image, shape and dtype of ``image``.

    Example:
        >>> import torch
        >>> flat = torch.full((8, 8), 0.25)
        >>> torch.allclose(guided_filter(torch.rand(8, 8), flat, radius=2, eps=0.01), flat)
        True
    """
    if image.ndim > 2 and image.numel() > ALONE:
        pairs = zip(guide.flatten(0, -3), image.flatten(0, -3), strict=True)
        planes = [guided_filter(guiding, plane, radius=radius, eps=eps) for guiding, plane in pairs]
        return torch.stack(planes).view(image.shape)
    I, p = guide.double(), image.double()  # noqa: E741  the paper's symbols
    mean_I, mean_p = box_mean(I, radius), box_mean(p, radius)
    a = box_mean(I * p, radius).sub_(mean_I * mean_p)  # the covariance, over the variance
    a.div_(box_mean(I * I, radius).sub_(mean_I * mean_I).add_(eps))
    b = mean_p.sub_(a * mean_I)
    del p, mean_p, mean_I
    return box_mean(a, radius).mul_(I).add_(box_mean(b, radius)).to(image.dtype)
