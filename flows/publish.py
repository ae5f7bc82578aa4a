"""Flow ``publish``, deployed as ``publish-vif``, ``publish-mif``, ``publish-mfif`` and ``publish-mef``."""

from prefect import flow

from flows.target import run_target
from sigforge.dataset.tasks import Task


@flow(name="publish", flow_run_name="publish-{task}")
def publish(task: Task) -> None:
    """Make the release of the task's synthetic pairs: shards, card, licences, credits and checksums in one folder."""
    run_target(f"publish@{task}")
