"""Seeds that depend on what is made, never on who makes it or when."""

import hashlib

import numpy as np

SeedNames = tuple[int, *tuple[object, ...]]
"""What seeds a series of draws: the global seed, and the names of what is drawn."""


def seed_of(seed: object, *names: object) -> int:
    """A 63-bit seed from the global seed and the names of a thing (stage, key, step...).

    Example:
        >>> seed_of(1, "synth", 7) == seed_of(1, "synth", 7) != seed_of(1, "synth", 8)
        True
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def rng_of(seed: object, *names: object) -> np.random.Generator:
    """A NumPy generator seeded by :func:`seed_of`."""
    return np.random.default_rng(seed_of(seed, *names))
