"""The authors' fusion network as one of SigFusion's forms, ``sigformer.form: released``."""

import torch
from torch import Tensor

from sigforge.methods.sigfusion.head import Decoded, SelectHead
from sigforge.methods.sigfusion.network import FusionNetwork
from sigforge.methods.sigfusion.released.blocks import SIDE
from sigforge.methods.sigfusion.released.network import LEVELS, WIDTH, Encoder, Encoding, FusionDecoder


class ReleasedFusion(FusionNetwork):
    """One encoder for both sources, and the fusion decoder.

    Args:
        slip: as released, with four of five decoder blocks lost; see :class:`FusionDecoder`.
        select: with a :class:`SelectHead`, which the authors have not.

    Example:
        >>> net = ReleasedFusion()
        >>> net(torch.rand(2, 1, 1, 33, 45)).shape
        torch.Size([1, 1, 33, 45])
    """

    most_sources = 2
    tile = 1024

    def __init__(self, *, slip: bool = True, select: bool = False) -> None:
        super().__init__(SelectHead(WIDTH, 2 * LEVELS) if select else None)
        self.encoder, self.decoder = Encoder(), FusionDecoder(slip=slip)

    def decode(self, sources: Tensor) -> Decoded:
        """(2, B, 1, H, W) in [0, 1] of any size to the decoded plane in [0, 1] and what the head reads."""
        encodings = [self.encoder(source) for source in sources]
        features = self.decoder.features(*encodings)
        strengths = torch.stack([_strengths(encoding) for encoding in encodings])
        return Decoded(self.decoder.tail(features).float(), features, [strengths])


def _strengths(encoding: Encoding) -> Tensor:
    """Magnitudes of the high bands of all levels on their grid, (B, 10, 32, 32)."""
    return torch.cat([bands[:, 1:] for bands in encoding.bands], dim=1).abs().unflatten(-1, (SIDE, SIDE))
