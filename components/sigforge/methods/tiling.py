"""Running a network on images of any size: padding to a multiple, and overlapping tiles for large ones."""

from collections.abc import Callable

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]


def run_padded(network: Network, images: Tensor, *, multiple: int, minimum: int = 1) -> Tensor:
    """Apply ``network`` to (..., H, W) padded on the right and bottom, and crop back.

    Args:
        network: (..., H', W') to (..., H', W') with H', W' multiples of ``multiple`` and at least ``minimum``.
        images: (..., H, W).
        multiple: both sides become multiples of it.
        minimum: and at least this, pixels.

    Example:
        >>> run_padded(lambda images: images + 1, torch.zeros(5, 7), multiple=4).shape
        torch.Size([5, 7])
    """
    height, width = images.shape[-2:]
    target = [max(minimum, -(-side // multiple) * multiple) for side in (height, width)]
    return network(pad_to(images, *target))[..., :height, :width]


def pad_to(images: Tensor, height: int, width: int) -> Tensor:
    """Pad on the right and bottom by mirroring, as often as needed, so tiny images work too.

    Args:
        images: (..., H, W).
        height: of the result, at least H.
        width: of the result, at least W.

    Returns:
        (..., height, width).

    Example:
        >>> pad_to(torch.tensor([[1, 2, 3]]), 1, 5)
        tensor([[1, 2, 3, 2, 1]])
    """
    rows = _mirror_index(images.shape[-2], height, images.device)
    columns = _mirror_index(images.shape[-1], width, images.device)
    return images.index_select(-2, rows).index_select(-1, columns)


def run_tiled(network: Network, images: Tensor, *, tile: int = 256, overlap: int = 32) -> Tensor:
    """Apply ``network`` to (..., H, W), in tiles blended by raised cosines if the image is larger than one tile.

    Args:
        network: (..., tile, tile) (or smaller, for smaller images) to (..., same size).
        images: (..., H, W).
        tile: side of a tile, pixels; an image of as many pixels is not cut.
        overlap: of neighbouring tiles, pixels.

    Example:
        >>> image = torch.rand(1, 1, 300, 280)
        >>> torch.allclose(run_tiled(lambda tile: 2 * tile, image), 2 * image)
        True
    """
    height, width = images.shape[-2:]
    if height * width <= tile * tile:
        return network(images)
    rows, columns = _starts(height, tile, overlap), _starts(width, tile, overlap)
    total: Tensor | None = None
    weight = torch.zeros(height, width, device=images.device)
    for top in rows:
        for left in columns:
            window = (..., slice(top, top + tile), slice(left, left + tile))
            part = network(images[window])
            ramp = _ramp((part.shape[-2], part.shape[-1]), overlap).to(part.device)
            total = part.new_zeros(*part.shape[:-2], height, width) if total is None else total
            total[window] += part * ramp
            weight[window] += ramp
    assert total is not None  # there is a tile at least
    return total / weight


def _mirror_index(size: int, target: int, device: torch.device) -> Tensor:
    period = max(1, 2 * size - 2)
    index = torch.arange(target, device=device) % period
    return torch.where(index < size, index, period - index)


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    if size <= tile:
        return [0]
    count = -(-(size - overlap) // (tile - overlap))
    return [round(k * (size - tile) / (count - 1)) for k in range(count)]


def _ramp(size: tuple[int, int], overlap: int) -> Tensor:
    def profile(length: int) -> Tensor:
        edge = torch.minimum(torch.arange(length), torch.arange(length - 1, -1, -1)).float() + 0.5
        return torch.sin((edge / overlap).clamp(max=1) * torch.pi / 2) ** 2

    return profile(size[0])[:, None] * profile(size[1])[None, :]
