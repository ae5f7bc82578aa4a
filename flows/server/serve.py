"""``make serve``: one process that runs every flow somebody asks for, one after the other."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, StateType
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.runner import Runner
from prefect.states import Crashed

from flows.ablate import ablate
from flows.evaluate import evaluate
from flows.fuse import fuse
from flows.publish import publish
from flows.reproduce import reproduce
from flows.server import services
from flows.synth import synth
from flows.train import train
from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS

PER_TASK = (synth, fuse, train, evaluate, publish)


def deployments() -> list[RunnerDeployment]:
    """``synth-vif`` ... ``ablate-mef``, and ``reproduce``; a second run of the same one waits in the queue."""
    options = {
        "concurrency_limit": ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        "entrypoint_type": EntrypointType.MODULE_PATH,
    }
    per_task = [
        flow.to_deployment(f"{flow.name}-{task}", parameters={"task": task}, **options)
        for flow in (*PER_TASK, ablate)
        for task in TASKS
    ]
    return [*per_task, reproduce.to_deployment("reproduce", **options)]


def run() -> None:
    """Serve until interrupted; a server that was started for this is ended with it."""
    if other := services.running("serve"):
        raise UserError(f".sigforge/serve.pid: process {other.pid} serves already; 'make stop' ends it")
    server = services.prefect_server()
    started = services.start([server])
    services.remember("serve", os.getpid())
    try:
        runner, made = Runner(pause_on_shutdown=False), deployments()
        sweep([runner.add_deployment(one) for one in made])
        print(_welcome(server, [str(one.name) for one in made]), flush=True)
        asyncio.run(until_signal(runner))
    finally:
        services.forget("serve")
        for service in started:
            services.stop(service.name)


def sweep(deployments: Sequence[UUID]) -> list[UUID]:
    """Mark runs as crashed whose process is gone; else they would hold their deployment's only slot for ever.

    Returns:
        the runs that were marked: what a power cut or ``kill -9`` left behind.
    """
    alive = {_run_id(process) for process in psutil.process_iter()}
    unfinished = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=unfinished)),
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
        )
        lost = [run.id for run in runs if str(run.id) not in alive]
        for run in lost:
            client.set_flow_run_state(run, Crashed(message="its process ended without a word"))
    return lost


async def until_signal(runner: Runner) -> None:
    """Serve until SIGINT or SIGTERM, then cancel what runs and wait until its stages have ended."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def ask(*_signal: object) -> None:
        loop.call_soon_threadsafe(asked.set)

    runner.handle_sigterm = ask  # its own leaves the loop at once, and the stages outlive their flows
    signal.signal(signal.SIGINT, ask)
    serving, asking = asyncio.ensure_future(runner.start()), asyncio.ensure_future(asked.wait())
    await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
    if runner.started:
        await runner.astop()
    else:
        serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


def _run_id(process: psutil.Process) -> str | None:
    """Which flow run a process works for, if any."""
    try:
        return process.environ().get("PREFECT__FLOW_RUN_ID")
    except (psutil.Error, OSError):
        return None


def _welcome(server: services.Service, names: list[str]) -> str:
    return (
        f"serving: {' '.join(names)}\n"
        f"page:    {server.page}\n"
        f"run one: prefect deployment run {names[0]} --watch   (in another shell: source .venv/bin/activate)\n"
        "Ctrl-C ends it."
    )


def main() -> int:
    """The command line; exit code 2 on a user's mistake."""
    # A shell starts background jobs with SIGINT ignored, and every child would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
