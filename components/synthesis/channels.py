"""Which planes of which modality PLGN modulates, and from what.

DESIGN section 4: luma always; chroma with modulators of its own where a modality changes colour; the photograph's chroma
where it keeps colour (``vis``, ``near``, ``far``); none where it has none (``ir``, ``ct``, ``mri``). PET and SPECT
colours are a function of intensity (pseudo-colour), and fused images already carry them unchanged, so a modulator fed
with fused chroma would learn the identity: theirs read luma.
"""

from dataclasses import dataclass
from typing import Literal

from components.manifest import MODALITIES
from components.models.plgn import channel_name

Plane = Literal["y", "cb", "cr"]

PSEUDO_COLOURED = ("pet", "spect")
RECOLOURED = ("under", "over")
KEEPS_COLOUR = ("vis", "near", "far")


@dataclass(frozen=True)
class Channel:
    """One trained map: ``source`` plane of the fused image to ``target`` plane of the modality."""

    name: str
    modality: str
    source: Plane
    target: Plane


def channels_of(modality: str) -> tuple[Channel, ...]:
    """What PLGN trains for one modality.

    Example:
        >>> [channel.name for channel in channels_of("pet")]
        ['pet', 'pet_cb', 'pet_cr']
    """
    channels = [Channel(channel_name(modality, "y"), modality, "y", "y")]
    if modality in PSEUDO_COLOURED + RECOLOURED:
        for plane in ("cb", "cr"):
            source = "y" if modality in PSEUDO_COLOURED else plane
            channels.append(Channel(channel_name(modality, plane), modality, source, plane))
    return tuple(channels)


def task_channels(task: str) -> tuple[Channel, ...]:
    """All channels of a task's modalities, in manifest order, without repeats."""
    names = dict.fromkeys(name for pair in MODALITIES[task].values() for name in pair)
    return tuple(channel for modality in names for channel in channels_of(modality))
