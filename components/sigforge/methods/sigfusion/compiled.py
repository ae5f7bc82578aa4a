"""``torch.compile`` for the networks of SigFusion, a submodule at a time."""

from torch import nn

from sigforge.methods.sigfusion.fusion import Merge
from sigforge.methods.sigfusion.modulator import HighModulator, LowModulator
from sigforge.methods.sigfusion.sigformer import DecomposerLevel, ReconstructorLevel

PARTS = (DecomposerLevel, ReconstructorLevel, LowModulator, HighModulator, Merge)


def compile_parts(model: nn.Module, *, backend: str = "inductor") -> int:
    """Compile the submodules of SigFormer, the modulators and the merging layers, in place; returns how many.

    Weights keep their names. The first pass takes minutes on a CPU, and results differ from uncompiled ones by
    rounding. Submodules are compiled rather than the whole, since equal ones share their code.

    Args:
        backend: of ``torch.compile``; the default needs a C++ compiler, on a GPU Triton.
    """
    parts = [module for module in model.modules() if isinstance(module, PARTS)]
    for part in parts:
        part.compile(backend=backend)
    return len(parts)
