"""What a photograph looks like, and what a table of photographs holds, in a few bytes."""

import hashlib

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.fft

from sigforge.core.colour import luma
from sigforge.core.files import hash_of

_ROWS = 1 << 16  # of a column, hashed at once


def fingerprint_of(photos: pa.Table) -> str:
    """Hex sha256 of all that a synthetic sample takes from its photograph; where the files lie does not count.

    Example:
        >>> from sigforge.dataset.tables import Photo, photo_table
        >>> terms = ("CC0", "", "somebody", True, True)
        >>> here, there = (photo_table([Photo("p", path, "1", "2", 64, 64, 3, "s", *terms)]) for path in ("x", "y"))
        >>> fingerprint_of(here) == fingerprint_of(there) != fingerprint_of(here.slice(0, 0))
        True
    """
    return hash_of([[name, _column_hash(photos[name])] for name in photos.column_names if name != "path"])


def phash(image: np.ndarray) -> str:
    """64-bit perceptual hash in hex: the 8x8 lowest DCT coefficients of a 32x32 luma thumbnail, against their median.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)`` in [0, 1].

    Example:
        >>> y, x = np.mgrid[:64, :64] / 64
        >>> image = np.sin(5 * x * x + 3 * y) / 2 + 0.5
        >>> phash(image) == phash(0.8 * image), phash(image) == phash(image.T)
        (True, False)
    """
    thumbnail = cv2.resize(np.asarray(luma(image), np.float64), (32, 32), interpolation=cv2.INTER_AREA)
    # Rounded, or coefficients that are zero but for arithmetic noise would flip bits between machines.
    low = scipy.fft.dctn(thumbnail, norm="ortho")[:8, :8].round(6)
    return np.packbits(low > np.median(low)).tobytes().hex()


def _column_hash(column: pa.ChunkedArray) -> str:
    """Of the values in order, many at once: a loop over a million rows would take seconds."""
    digest = hashlib.sha256()
    for start in range(0, len(column), _ROWS):
        texts = column.slice(start, _ROWS).cast(pa.string()).combine_chunks()
        joined = pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts), "\x1f")
        digest.update(joined[0].as_buffer())
        digest.update(b"\x1f")
    return digest.hexdigest()
