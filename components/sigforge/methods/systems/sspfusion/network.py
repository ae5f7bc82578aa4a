"""SSPFusion: a shared extractor of structure, fusion that keeps what only one source shows, a decoder.

Yang et al., "SSPFusion: A semantic structure-preserving approach for multi-modality image fusion", sections 3.1 and
3.2, N = 3 levels. The paper gives no layer sizes; at the default widths ours have 11.4 M parameters, theirs 12.0 M.
Reading of the print: the extractor is a U-shape whose decoder predicts a structure map for every feature map of its
encoder, and one for the image; in the fusion network skips are additions, which leaves the extractor's weights their
places. Of Eq. (6), M_ir and M_vi are the two terms in the order of Eq. (5), and Eq. (8) is Eq. (7) with the sources
exchanged (the print repeats F_ir): each source gains where it alone has structure and yields where only the other has.
"""

from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from sigforge.methods.tiling import run_padded, run_tiled
from sigforge.methods.weights import load_model

KIND, EXTRACTOR_KIND = "sspfusion", "sspfusion-extractor"
TILE, OVERLAP = 1024, 64
REDUCTION = 16


class SspConfig(BaseModel):
    """How extractor and fusion network are built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[int, int, int] = Field((64, 128, 256), description="channels of each level, finest first")
    blocks: int = Field(3, ge=1, description="attention blocks on the fused features of a level")


class Structures(NamedTuple):
    """What the extractor finds in an image, finest level first.

    Attributes:
        features: F^k of the encoder, (B, widths[k], H / 2^k, W / 2^k).
        maps: S^k in (0, 1), of the same shapes.
        whole: structure map of the image, (B, 1, H, W) in (0, 1).
    """

    features: tuple[Tensor, ...]
    maps: tuple[Tensor, ...]
    whole: Tensor


class Extractor(nn.Module):
    """R, the structural feature extractor (Eq. 1).

    Args:
        config: of the system.
        skips: add the encoder's features, after channel attention, to the decoder's: the fusion network's form.

    Example:
        >>> found = Extractor(SspConfig(widths=(4, 8, 8)))(torch.rand(1, 1, 16, 24))
        >>> [tuple(level.shape[1:]) for level in found.maps], tuple(found.whole.shape)
        ([(4, 16, 24), (8, 8, 12), (8, 4, 6)], (1, 1, 16, 24))
    """

    def __init__(self, config: SspConfig | None = None, *, skips: bool = False) -> None:
        super().__init__()
        self.config = config or SspConfig()
        widths = self.config.widths
        self.encoder = nn.ModuleList(
            _double(inputs, width) for inputs, width in zip((1, *widths), widths, strict=False)
        )
        self.decoder = SspDecoder(widths)
        self.head = _conv(widths[0], 1)
        self.attention = nn.ModuleList(ChannelAttentionBlock(width) for width in widths) if skips else None

    def forward(self, image: Tensor) -> Structures:
        """(B, 1, H, W) in [0, 1], sides multiples of 4."""
        features = self.encode(image)
        inputs: list[Tensor | float] = [0.0] * (len(features) - 1) + [features[-1]]
        if self.attention is not None:
            inputs = [attend(level) for attend, level in zip(self.attention, features, strict=True)]
        decoded = self.decoder(inputs)
        return Structures(features, tuple(level.sigmoid() for level in decoded), self.head(decoded[0]).sigmoid())

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features F^k of one image (B, 1, H, W), finest first."""
        features = [self.encoder[0](image)]
        for level in self.encoder[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))
        return tuple(features)


class SSPFusion(nn.Module):
    """The fusion network, for two sources that share one extractor.

    Example:
        >>> net = SSPFusion(SspConfig(widths=(4, 8, 8)))
        >>> net.fuse(torch.rand(1, 1, 13, 22), torch.rand(1, 1, 13, 22)).shape
        torch.Size([1, 1, 13, 22])
    """

    multiple: ClassVar[int] = 4
    minimum: ClassVar[int] = 8  # the coarsest level is padded by reflection

    def __init__(self, config: SspConfig | None = None) -> None:
        super().__init__()
        self.config = config or SspConfig()
        widths = self.config.widths
        self.extractor = Extractor(self.config, skips=True)
        self.join = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths)
        self.refine = nn.ModuleList(
            nn.Sequential(*(ChannelAttentionBlock(width) for _ in range(self.config.blocks))) for width in widths
        )
        self.decoder = SspDecoder(widths)
        self.head = _conv(widths[0], 1)

    def forward(self, sources: Tensor) -> tuple[Tensor, Structures]:
        """(2, B, 1, H, W) in [0, 1], sides multiples of 4, to the fused image and the structures of both sources.

        Returns:
            (B, 1, H, W) in (0, 1), and the structures of (2 B, 1, H, W), all of the first source before the second's.
        """
        found = self.extractor(sources.flatten(0, 1))
        fused = []
        for maps, features, join, refine in zip(found.maps, found.features, self.join, self.refine, strict=True):
            fused.append(refine(join(torch.cat(preserve_structure(*maps.chunk(2), *features.chunk(2)), dim=1))))
        return self.head(self.decoder(fused)[0].relu()).sigmoid(), found

    def start_from(self, extractor: Extractor) -> "SSPFusion":
        """Take over the weights of an extractor trained on its own; the attention blocks stay as they are."""
        self.extractor.load_state_dict(extractor.state_dict(), strict=False)
        return self

    @torch.inference_mode()
    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        """Registered lumas (B, 1, H, W) in [0, 1] of any size to one, in [0, 1]; large images in tiles."""

        def whole(stack: Tensor) -> Tensor:
            return run_padded(lambda x: self(x)[0], stack, multiple=self.multiple, minimum=self.minimum)

        return run_tiled(whole, torch.stack([a, b]), tile=TILE, overlap=OVERLAP).clamp(0, 1)


def preserve_structure(map_a: Tensor, map_b: Tensor, features_a: Tensor, features_b: Tensor) -> tuple[Tensor, Tensor]:
    """Eqs. (6)-(8) at one level: both sources' features with their unique structures enhanced.

    Args:
        map_a: (B, 1, h, w) in [0, 1], structure of the first source.
        map_b: likewise of the second.
        features_a: (B, C, h, w).
        features_b: likewise.

    Returns:
        both enhanced features, (B, C, h, w).

    Example:
        >>> one, zero, features = torch.ones(1), torch.zeros(1), torch.full((1,), 0.5)
        >>> preserve_structure(one, zero, features, features)  # 1 + (1 + 1) / 2 and 0 + (1 - 1) / 2
        (tensor([2.]), tensor([0.]))
    """
    only_a, only_b = map_a * (1 - map_b), map_b * (1 - map_a)
    return (
        map_a + (1 - only_b) * features_a + only_a * features_a,
        map_b + (1 - only_a) * features_b + only_b * features_b,
    )


class SspDecoder(nn.Module):
    """From the coarsest level to the finest; what each level is given is added."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.grow = nn.ModuleList(_conv(coarse, fine) for fine, coarse in pairwise(widths))
        self.levels = nn.ModuleList(nn.Sequential(_conv(w, w), nn.ReLU(), _conv(w, w)) for w in widths)

    def forward(self, inputs: list[Tensor | float]) -> list[Tensor]:
        """One map per level (0: nothing is added), finest first, to one of its shape each; they can be negative."""
        decoded = [self.levels[-1](inputs[-1])]
        for grow, level, x in zip(reversed(self.grow), reversed(self.levels[:-1]), reversed(inputs[:-1]), strict=True):
            larger = F.interpolate(decoded[0].relu(), scale_factor=2, mode="bilinear", align_corners=False)
            decoded.insert(0, level(grow(larger) + x))
        return decoded


class ChannelAttentionBlock(nn.Module):
    """RCAB: two convolutions, weighed per channel, beside a skip (Zhang et al., ECCV 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, width // REDUCTION)
        self.body = nn.Sequential(_conv(width, width), nn.ReLU(), _conv(width, width))
        self.weigh = nn.Sequential(nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, width, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) to the same shape."""
        change = self.body(x)
        return x + change * self.weigh(change.mean((-2, -1), keepdim=True))


def load_sspfusion(path: Path) -> SSPFusion:
    """A trained fusion network from its file.

    Raises:
        UserError: no such file, not this network, or one of another version.
    """
    return load_model(path, lambda config: SSPFusion(SspConfig.model_validate(config)), kind=KIND)


def load_extractor(path: Path) -> Extractor:
    """A trained extractor from its file.

    Raises:
        UserError: no such file, not an extractor, or one of another version.
    """
    return load_model(path, lambda config: Extractor(SspConfig.model_validate(config)), kind=EXTRACTOR_KIND)


def _double(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, width), nn.ReLU(), _conv(width, width), nn.ReLU())


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
