"""Arithmetic mean of the sources: the floor that every method has to beat."""

from torch import Tensor

from sigforge.dataset.tasks import TASKS
from sigforge.methods.registry import fusion_method


@fusion_method("mean", tasks=TASKS, equation="F = mean_n I_n")
def fuse_mean(sources: Tensor) -> Tensor:
    """Average the sources.

    Args:
        sources: ``(n, B, 1, H, W)`` in [0, 1].

    Returns:
        Fused planes, ``(B, 1, H, W)`` in [0, 1].
    """
    return sources.mean(0).clamp(0, 1)
