"""Flow ``train``, deployed as ``train-vif``, ``train-mif``, ``train-mfif`` and ``train-mef``."""

from prefect import flow

from flows.target import TaskName, run_target


@flow(name="train", flow_run_name="train-{task}")
def train(task: TaskName) -> None:
    """Train all networks of the task: SigFormer, its modulators, and the fusion network on synthetic then real pairs."""
    run_target("pretrain")
    for stage in ("plgn", "pretext", "finetune"):
        run_target(f"{stage}@{task}")
