"""Flow ``fuse``, deployed as ``fuse-vif``, ``fuse-mif``, ``fuse-mfif`` and ``fuse-mef``."""

from prefect import flow

from flows.target import run_target
from sigforge.dataset.tasks import Task


@flow(name="fuse", flow_run_name="fuse-{task}")
def fuse(task: Task) -> None:
    """Fuse every real pair of the task with every configured baseline."""
    run_target(f"fuse@{task}")
