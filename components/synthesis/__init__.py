"""Photographs into pairs: what PLGN modulates, and how a pair is put together."""

from pathlib import Path

from components.models.sigfusion.plgn import load_plgn, plgn_path
from components.synthesis.synthesizer import Synthesizer


def load(task: str, model: Path | None = None, *, seed: int = 0) -> Synthesizer:
    """A synthesizer of a task from a PLGN file; ``data/plgn/<task>/model.safetensors`` by default.

    Raises:
        UserError: there is no such file.
    """
    return Synthesizer(load_plgn(model or plgn_path(task)), task, seed=seed)
