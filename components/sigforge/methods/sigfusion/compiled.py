"""``torch.compile`` for the networks of SigFusion, a submodule at a time."""

from torch import nn

from sigforge.methods.sigfusion.full.blocks import MergeGate
from sigforge.methods.sigfusion.full.network import FullDecomposer, FullReconstructor
from sigforge.methods.sigfusion.fusion import Merge
from sigforge.methods.sigfusion.head import Separable
from sigforge.methods.sigfusion.modulator import HighModulator, LowModulator
from sigforge.methods.sigfusion.sigformer import DecomposerLevel, ReconstructorLevel

TOKENS = (DecomposerLevel, ReconstructorLevel, LowModulator, HighModulator, Merge)
FULL = (FullDecomposer, FullReconstructor, MergeGate, Separable)


def compile_parts(model: nn.Module, *, backend: str = "inductor") -> int:
    """Compile submodules of SigFormer, modulators, merging layers and the head, in place; returns how many.

    Weights keep their names. The first pass takes minutes on a CPU, and results differ from uncompiled ones by
    rounding. Submodules are compiled rather than the whole, since equal ones share their code.

    Args:
        backend: of ``torch.compile``; the default needs a C++ compiler, on a GPU Triton.
    """
    parts = [module for module in model.modules() if isinstance(module, TOKENS + FULL)]
    for part in parts:
        part.compile(backend=backend)
    return len(parts)
