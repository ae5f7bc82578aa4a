"""Both forms of DeFusion++ under one kind of model file: as its authors built it, and by the paper's text."""

from pathlib import Path
from typing import Any

from sigforge.methods.systems.defusion_pp.network import DeFusionPP
from sigforge.methods.systems.defusion_pp.released import ReleasedDeFusionPP
from sigforge.methods.weights import load_model

KIND = "defusion_pp"

AnyForm = DeFusionPP | ReleasedDeFusionPP
"""A network of either form."""


def build_defusion_pp(architecture: dict[str, Any]) -> AnyForm:
    """A network from what its file says of itself; files of form ``paper`` name no form.

    Example:
        >>> type(build_defusion_pp({"form": "released", "width": 48, "depth": 1})).__name__
        'ReleasedDeFusionPP'
    """
    sizes = {name: value for name, value in architecture.items() if name != "form"}
    return ReleasedDeFusionPP(**sizes) if architecture.get("form") == "released" else DeFusionPP(**sizes)


def load_defusion_pp(path: Path) -> AnyForm:
    """A trained network from its file, which says how it is built.

    Raises:
        UserError: no such file, not this network, or one of another version.
    """
    return load_model(path, build_defusion_pp, kind=KIND)
