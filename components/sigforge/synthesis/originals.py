"""The photographs behind synthetic samples, cut as synthesis cut them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigforge.core.errors import UserError
from sigforge.core.images import read_image
from sigforge.dataset.tables import Photo
from sigforge.synthesis.crops import crop_of_photo


@dataclass(frozen=True)
class Originals:
    """Photographs by the rows of their samples.

    Args:
        photos: those that were planned, in the order of the manifest.
        size: side of the samples.
        seed: of the crops.
    """

    photos: Sequence[Photo]
    size: int
    seed: int

    def __call__(self, row: Mapping[str, object]) -> np.ndarray:
        """Float32 in [0, 1], (size, size) or (size, size, 3).

        Raises:
            UserError: the sample was made from other photographs, or its photograph cannot be read.
        """
        crop, place = divmod(int(str(row["key"])), len(self.photos))
        photo = self.photos[place]
        if photo.photo_id != row["photo_id"]:
            raise UserError(f"data/synth: photograph {row['photo_id']!r} is not in the manifest; run 'dvc repro synth'")
        image = read_image(photo.path)[0]
        return crop_of_photo(image, photo.sha256, self.size, crop, seed=self.seed).cut(image, self.size)
