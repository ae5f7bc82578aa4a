"""Flow ``train``, deployed as ``train-vif``, ``train-mif``, ``train-mfif`` and ``train-mef``."""

from prefect import flow

from flows.target import run_target
from sigforge.dataset.tasks import Task


@flow(name="train", flow_run_name="train-{task}")
def train(task: Task) -> None:
    """Train the networks of the task: SigFormer, the modulators, fusion on synthetic and real pairs, the systems."""
    run_target("pretrain")
    for stage in ("plgn", "pretext", "finetune", "systems", "transfer"):
        run_target(f"{stage}@{task}")
