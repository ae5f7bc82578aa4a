"""Flow ``synth``, deployed as ``synth-vif``, ``synth-mif``, ``synth-mfif`` and ``synth-mef``."""

from prefect import flow

from flows.target import run_target
from sigforge.dataset.tasks import Task


@flow(name="synth", flow_run_name="synth-{task}")
def synth(task: Task) -> None:
    """Turn every photograph into a synthetic pair of the task, in tar shards."""
    run_target(f"synth@{task}")
