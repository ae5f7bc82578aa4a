"""SigFusion's fusion network as a fusion method, trained by the stages ``pretext`` and ``finetune``."""

from sigforge.dataset.tasks import OURS, TASKS
from sigforge.methods.registry import METHODS
from sigforge.methods.sigfusion.fusion import KIND, FusionConfig, build_fusion, load_fusion
from sigforge.methods.sigfusion.network import FusionNetwork
from sigforge.methods.trained import TrainedMethod, untrained


def default_fusion() -> FusionNetwork:
    """The network by default parameters, not trained."""
    return build_fusion(FusionConfig())


METHODS.add(
    OURS,
    TrainedMethod(
        OURS,
        untrained(OURS),
        TASKS,
        paper="Wang et al., SigFusion, AAAI",
        year=2026,
        n_sources=(2, 2),
        kind="learned",
        equation="F = SigFormer^-1(W * [subbands of A, subbands of B])",
        notes="trained per task on synthetic pairs, then fine-tuned on real ones; size and cost by default parameters",
        parameters=222_386,
        flops=24_181_335_552,
        build=default_fusion,
        read=load_fusion,
        file_kind=KIND,
        place="data/finetune/{task}/model.safetensors",
        mend="run 'dvc repro finetune@{task}', or give a .safetensors file",
    ),
    holder=__name__,
)
