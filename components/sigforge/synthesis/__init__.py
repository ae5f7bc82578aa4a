"""Photographs into pairs: what PLGN modulates, and how a pair is put together."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigforge.synthesis.synthesizer import Synthesizer


def load(task: str, model: Path | None = None, *, seed: int = 0) -> "Synthesizer":
    """A synthesizer of a task from a PLGN file.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        model: file of a trained PLGN; ``data/plgn/<task>/model.safetensors`` by default.
        seed: of all that is drawn for a sample.

    Raises:
        UserError: there is no such file.
    """
    from sigforge.methods.sigfusion.plgn import load_plgn, plgn_path
    from sigforge.synthesis.synthesizer import Synthesizer

    return Synthesizer(load_plgn(model or plgn_path(task)), task, seed=seed)
