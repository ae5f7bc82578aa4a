"""The one task: run one DVC target, stream its log, publish what it made.

dvc writes into a file that is followed from here, never into a pipe: when the process of a flow is killed, dvc goes on
and commits what it has made. It holds the target's lock while it lives, so the next run of the flow waits for it.
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows import STATE
from flows.artifacts import publish

POLL_SECONDS = 0.2
KILL_AFTER_SECONDS = 10
BUSY = "is busy, it is being blocked by"
BUSY_RETRIES, BUSY_SECONDS = 1440, 10

Say = Callable[[str], object]


class TargetFailed(RuntimeError):
    """A DVC target could not be made; the message is the failing stage's own error line."""


class TargetBusy(TargetFailed):
    """Another dvc is making something this target needs; worth another try."""


def is_busy(_task: object, _run: object, state: Any) -> bool:
    """Prefect's question whether to retry: only when another dvc was in the way.

    Args:
        _task: not asked.
        _run: not asked.
        state: of the task's run that has ended.
    """
    return isinstance(state.result(raise_on_failure=False), TargetBusy)


@task(
    task_run_name="{target}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=BUSY_RETRIES,
    retry_delay_seconds=BUSY_SECONDS,
    retry_condition_fn=is_busy,
)
def run_target(target: str) -> None:
    """Bring one DVC target, and all it needs, up to date; then show its tables on the page of the run."""
    reproduce(target, get_run_logger().info)
    publish(target)


def reproduce(target: str, say: Say) -> None:
    """Run ``dvc repro <target>`` in the current folder.

    Args:
        say: called with every line that dvc and its stages print, as they print it.

    Raises:
        TargetBusy: another dvc is making something that the target needs.
        TargetFailed: anything else dvc ends with an error for.
    """
    log = STATE / "logs" / f"{target}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target, say) as lock, log.open("wb") as sink:
        process = _start(target, sink, lock)
        try:
            for line in _follow(process, log):
                say(line)
        finally:
            _end(process)
    if process.returncode:
        text = log.read_text(errors="replace")
        raise (TargetBusy if BUSY in text else TargetFailed)(f"{cause(text)} (all of it: {log})")


def cause(text: str) -> str:
    """The line of a log that says why: the last 'error:' of a stage, else dvc's own, else the first line.

    Example:
        >>> cause("error: fuse@vif: no pair\\nERROR: failed to reproduce 'fuse@vif'")
        'error: fuse@vif: no pair'
    """
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    for start in ("error:", "ERROR:"):
        found = [line for line in lines if line.startswith(start)]
        if found:
            return found[-1]
    return lines[0] if lines else "dvc failed without a word"


def _start(target: str, sink: IO[bytes], lock: IO[str]) -> subprocess.Popen:
    """dvc in a session of its own: Ctrl-C on a terminal reaches the flow, and the flow ends dvc."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", target]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=subprocess.STDOUT,
        env=_environment(),
        pass_fds=[lock.fileno()],
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """This process's, with the venv's commands first, and without Prefect's word on which run this is."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
    path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", os.defpath)])
    return own | {"PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1"}


def _follow(process: subprocess.Popen, log: Path) -> Iterator[str]:
    """Lines of ``log`` as they are written, until the process has ended and all of them are read."""
    rest = b""
    with log.open("rb") as source:
        while True:
            ended = process.poll() is not None
            *lines, rest = re.split(rb"[\r\n]+", rest + source.read() + (b"\n" if ended else b""))
            yield from (line.decode(errors="replace") for line in lines if line.strip())
            if ended:
                return
            time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen) -> None:
    """End dvc and its stage if they still run: the flow was cancelled or interrupted."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(KILL_AFTER_SECONDS)
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def _lock(target: str, say: Say) -> Iterator[IO[str]]:
    """One dvc per target and project. dvc inherits the descriptor, so the lock lasts as long as the work does."""
    path = STATE / "locks" / f"{target}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{target} is being made by another run; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file
