"""Which planes of which modality PLGN modulates, and from what.

Luma always, and chroma where the task's colour policy says so. PET and SPECT colours are a function of intensity
(pseudo-colour), and fused images already carry them unchanged, so a modulator fed with fused chroma would learn the
identity: theirs read luma.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sigforge.core.colour import COLOUR_POLICIES, Image
from sigforge.dataset.tasks import all_modalities
from sigforge.methods.sigfusion.plgn import channel_name

Plane = Literal["y", "cb", "cr"]

PSEUDO_GAIN = 0.25
"""Contrast of the luma that pseudo-colour is made from: an untrained modulator then gives pale, not garish colours."""

PSEUDO_COLOURED = ("pet", "spect")
CHROMA = {modality: how for policy in COLOUR_POLICIES.values() for modality, how in policy.synthesis.items()}
"""Per modality: ``modulate``, ``keep`` or ``drop`` the photograph's chroma."""


@dataclass(frozen=True)
class Channel:
    """One trained map: ``source`` plane of the fused image, about 0.5 times ``gain``, to ``target`` of the modality."""

    name: str
    modality: str
    source: Plane
    target: Plane
    gain: float = 1.0

    def read(self, planes: Mapping[str, Image]) -> Image:
        """The input of the map from the planes of an image."""
        plane = planes[self.source]
        return plane if self.gain == 1 else 0.5 + self.gain * (plane - 0.5)


def channels_of(modality: str) -> tuple[Channel, ...]:
    """What PLGN trains for one modality.

    Example:
        >>> [channel.name for channel in channels_of("pet")]
        ['pet', 'pet_cb', 'pet_cr']
    """
    channels = [Channel(channel_name(modality, "y"), modality, "y", "y")]
    if CHROMA[modality] == "modulate":
        chroma: tuple[Plane, ...] = ("cb", "cr")
        for plane in chroma:
            pseudo = modality in PSEUDO_COLOURED
            source: Plane = "y" if pseudo else plane
            gain = PSEUDO_GAIN if pseudo else 1.0
            channels.append(Channel(channel_name(modality, plane), modality, source, plane, gain))
    return tuple(channels)


def task_channels(task: str) -> tuple[Channel, ...]:
    """All channels of a task's modalities, in manifest order, without repeats."""
    names = all_modalities(task)
    return tuple(channel for modality in names for channel in channels_of(modality))


def by_input(modalities: Iterable[str]) -> tuple[tuple[Channel, ...], ...]:
    """The channels of some modalities, those that read the same plane together: one decomposition serves them all.

    Example:
        >>> [[channel.name for channel in group] for group in by_input(("pet", "mri"))]
        [['pet', 'mri'], ['pet_cb', 'pet_cr']]
    """
    groups: dict[tuple[str, float], list[Channel]] = {}
    for channel in (channel for modality in modalities for channel in channels_of(modality)):
        groups.setdefault((channel.source, channel.gain), []).append(channel)
    return tuple(map(tuple, groups.values()))
