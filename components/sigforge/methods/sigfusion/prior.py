"""What a PLGN with a condition keeps of the real pairs that it was trained on, to draw from in synthesis.

Of every training pair it has a small dominance map and some numbers about both sources, no image. It lies in the model
file, so a released PLGN needs no real pairs at hand.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

MapKind = Literal["segments", "transplant"]
"""How a map is laid over a photograph: over its segments, or as it is."""

MAP_SIDE = 32
"""Cells along a side of a kept map."""

QUANTILES, BANDS = 17, 4
STYLE = QUANTILES + BANDS + 1
"""Numbers about one source: quantiles of its grey levels, strengths of its detail bands, its noise."""

LEVELS = 255


class DominancePrior(nn.Module):
    """Maps and facts of n real training pairs.

    Args:
        pairs: their ids, which samples record.
        subtasks: the kind of each pair.
        entries: of a dominance map; one more is kept, the support: where either source shows anything.

    Attributes:
        maps: (n, entries + 1, 32, 32) uint8, as source ``a`` sees them.
        styles: (n, 2, 22) of both sources, see :data:`STYLE`.
        follows: (n, entries) correlation of every entry with the mean of both sources: which follow brightness.
        spread: (n,) standard deviation of the mean of both sources.
        alike: (n,) how alike both are, see :func:`sigforge.evaluation.realism.likeness.likeness`.
    """

    maps: Tensor
    styles: Tensor
    follows: Tensor
    spread: Tensor
    alike: Tensor

    def __init__(self, pairs: Sequence[str], subtasks: Sequence[str], entries: int) -> None:
        super().__init__()
        self.pairs, self.subtasks = tuple(pairs), tuple(subtasks)
        count = len(self.pairs)
        self.register_buffer("maps", torch.zeros(count, entries + 1, MAP_SIDE, MAP_SIDE, dtype=torch.uint8))
        self.register_buffer("styles", torch.zeros(count, 2, STYLE))
        self.register_buffer("follows", torch.zeros(count, entries))
        self.register_buffer("spread", torch.zeros(count))
        self.register_buffer("alike", torch.zeros(count))

    def facts(self) -> dict[str, list[str]]:
        """What the model file says of it."""
        return {"pairs": list(self.pairs), "subtasks": list(self.subtasks)}

    def of(self, subtask: str) -> list[int]:
        """Positions of the pairs of a kind; empty if there are none."""
        return [index for index, name in enumerate(self.subtasks) if name == subtask]

    def put(self, index: int, maps: Tensor, style: Tensor, *, follows: Tensor, spread: float, alike: float) -> None:
        """Keep what is known of pair ``index``.

        Args:
            index: its position.
            maps: (entries + 1, 32, 32) in [0, 1].
            style: (2, 22).
            follows, spread, alike: see the attributes.
        """
        self.maps[index] = (maps * LEVELS).round().clamp(0, LEVELS).to(torch.uint8)
        self.styles[index], self.follows[index] = style, follows
        self.spread[index], self.alike[index] = spread, alike
