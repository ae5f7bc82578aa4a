"""Flow ``reproduce``: everything that is stale, up to the report."""

from prefect import flow

from flows.target import run_target


@flow(name="reproduce")
def reproduce() -> None:
    """Make the report and all it stands on: data, networks, shards and scores of every task."""
    run_target("report")
