"""Flow ``evaluate``, deployed as ``evaluate-vif``, ``evaluate-mif``, ``evaluate-mfif`` and ``evaluate-mef``."""

from prefect import flow

from flows.target import run_target
from sigforge.dataset.tasks import Task


@flow(name="evaluate", flow_run_name="evaluate-{task}")
def evaluate(task: Task) -> None:
    """Score the fine-tuned network and every baseline on the task's test pairs."""
    run_target(f"evaluate@{task}")
