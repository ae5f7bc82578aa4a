"""How long a thread that waits for work keeps its core busy.

PyTorch's OpenMP threads spin while they wait for one another. Alone on a machine that saves a wake-up; beside any other
process it burns the core that the awaited thread needs. ``benchmarks/contention.py`` has the figures.
"""

import os
from collections.abc import MutableMapping

SPINS = "1000"
"""Looks at the lock before a thread sleeps: some microseconds, more than a wake-up and less than a time slice."""
CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Whoever sets one of these knows the machine better."""


def spin_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP threads sleep soon, unless the user chose otherwise; PyTorch reads it when it is first imported.

    Example:
        >>> chosen, free = {"OMP_WAIT_POLICY": "ACTIVE"}, {}
        >>> spin_briefly(chosen), spin_briefly(free)
        (None, None)
        >>> chosen, free
        ({'OMP_WAIT_POLICY': 'ACTIVE'}, {'GOMP_SPINCOUNT': '1000'})
    """
    if not any(name in environment for name in CHOICES):
        environment["GOMP_SPINCOUNT"] = SPINS
