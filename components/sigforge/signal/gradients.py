"""First differences of planes (B, 1, H, W), as losses and heads read them."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sobel_magnitude(x: Tensor) -> Tensor:
    """|Sobel x| + |Sobel y|, (B, 1, H, W)."""
    return sobel(x).abs().sum(1, keepdim=True)


def sobel(x: Tensor) -> Tensor:
    """Horizontal and vertical Sobel differences, (B, 2, H, W), of weight 8; the border is replicated.

    Example:
        >>> ramp = torch.arange(6.0).expand(1, 1, 6, 6)
        >>> sobel(ramp)[0, :, 2, 2]
        tensor([8., 0.])
    """
    kernel = x.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), torch.stack([kernel, kernel.T])[:, None])
