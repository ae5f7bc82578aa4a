"""The two pages, Prefect's and MLflow's, as background processes: started, waited for, found again, stopped.

What was started is remembered in ``.sigforge/<name>.pid``, its output in ``.sigforge/logs/<name>.log``.
"""

import fcntl
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from prefect.settings import get_current_settings

from flows import STATE
from flows.server.guard import LOCAL, own_origins
from sigforge import tracking
from sigforge.core.errors import UserError

MLFLOW_PORT = "SIGFORGE_MLFLOW_PORT"
START_SECONDS = 180
STOP_SECONDS = 30


@dataclass(frozen=True)
class Service:
    """One background server.

    Args:
        name: names its pid file and its log.
        page: what a person opens.
        health: a path that answers with ``answer`` when the server is up.
        shared: whether a server that was not started from this folder will do.
        mend: how to choose another port.
    """

    name: str
    page: str
    health: str
    answer: bytes
    command: tuple[str, ...]
    shared: bool
    mend: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return STATE / "logs" / f"{self.name}.log"

    def answers(self) -> bool:
        """Whether this kind of server answers at its address."""
        try:
            with urllib.request.urlopen(self.page + self.health, timeout=5) as reply:
                return reply.read().strip() == self.answer
        except (OSError, ValueError):
            return False

    def taken(self) -> bool:
        """Whether anything at all listens at its address."""
        place = urlsplit(self.page)
        try:
            socket.create_connection((place.hostname, place.port), timeout=5).close()
        except OSError:
            return False
        return True


def prefect_server() -> Service:
    """Prefect's server at the configured API address; one that somebody else keeps running will do."""
    url = get_current_settings().api.url
    if not url:
        raise UserError("prefect.toml: no 'api.url'; run from the project's folder, or set PREFECT_API_URL")
    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "https" else 80)
    page = f"{place.scheme}://{place.hostname}:{port}"
    command = (sys.executable, "-m", "flows.server.guard", str(place.hostname), str(port))
    settings = {"PREFECT_SERVER_UI_API_URL": url, "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
    settings["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = own_origins(page)
    mend = f"choose another with PREFECT_API_URL=http://127.0.0.1:{port + 1}/api"
    return Service("prefect", page, "/api/health", b"true", command, True, mend, settings)


def mlflow_page() -> Service:
    """MLflow's page over this project's ledger."""
    text = os.environ.get(MLFLOW_PORT, "5000")
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise UserError(f"{MLFLOW_PORT}={text}: not a port; give a number from 1 to 65535")
    store = tracking.database_uri()
    root = tracking.ARTIFACTS.resolve().as_uri()
    command = (sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--default-artifact-root", root)
    command += ("--host", LOCAL[0], "--port", text, "--workers", "1")
    mend = f"choose another with {MLFLOW_PORT}={int(text) + 1}"
    page = f"http://{LOCAL[0]}:{text}"
    hosts = ",".join(f"{name}:{text}" for name in LOCAL)
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_SERVER_ALLOWED_HOSTS": hosts}
    settings["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = own_origins(page)
    return Service("mlflow", page, "/health", b"OK", command, False, mend, settings)


def start(services: Sequence[Service]) -> list[Service]:
    """Start the services that are not up, and wait until every one answers.

    Returns:
        those that this call started.

    Raises:
        UserError: a port is taken by something else, the address is on another machine, or a server does not come up.
    """
    started: list[Service] = []
    with _lock():
        try:
            for service in [service for service in services if _missing(service)]:
                _spawn(service)
                started.append(service)
            for service in services:
                _wait(service)
        except BaseException:
            for service in started:
                stop(service.name)
            raise
    return started


def stop(name: str) -> bool:
    """End what ``.sigforge/<name>.pid`` names, then what it left behind; False if it was not running."""
    process = running(name)
    _pid_file(name).unlink(missing_ok=True)
    if process is None:
        return False
    left = [process, *process.children(recursive=True)]
    process.terminate()
    psutil.wait_procs([process], STOP_SECONDS)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        _, left = psutil.wait_procs(left, 1)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                end(one)
    psutil.wait_procs(left, 1)
    return True


def running(name: str) -> psutil.Process | None:
    """The process that ``.sigforge/<name>.pid`` names, if it still lives and is no other that got its number."""
    try:
        pid, created = _pid_file(name).read_text().split()
        process = psutil.Process(int(pid))
        alive = process.status() != psutil.STATUS_ZOMBIE and process.create_time() == float(created)
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    return process if alive else None


def remember(name: str, pid: int) -> None:
    """Write the pid file of a process."""
    STATE.mkdir(exist_ok=True)
    _pid_file(name).write_text(f"{pid} {psutil.Process(pid).create_time()}")


def forget(name: str) -> None:
    """Remove the pid file of a process that ends by itself."""
    _pid_file(name).unlink(missing_ok=True)


def _missing(service: Service) -> bool:
    if running(service.name) or (service.shared and service.answers()):
        return False
    place = urlsplit(service.page)
    if place.hostname not in LOCAL:
        raise UserError(f"{service.page}: no {service.name} server answers there; start it, or {service.mend}")
    if service.taken():
        raise UserError(f"port {place.port}: taken by another program; stop that one, or {service.mend}")
    return True


def _spawn(service: Service) -> None:
    service.log.parent.mkdir(parents=True, exist_ok=True)
    with service.log.open("wb") as log:
        process = subprocess.Popen(
            service.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | service.env,
            start_new_session=True,
        )
    remember(service.name, process.pid)


def _wait(service: Service) -> None:
    end = time.monotonic() + START_SECONDS
    while not service.answers():
        gone = running(service.name) is None
        if gone or time.monotonic() > end:
            state = "ended" if gone else f"did not answer within {START_SECONDS} s"
            raise UserError(f"{service.log}: the {service.name} server {state}; the log says why")
        time.sleep(0.3)


def _pid_file(name: str) -> Path:
    return STATE / f"{name}.pid"


@contextmanager
def _lock() -> Iterator[None]:
    """'make ui' and 'make serve' typed at once must not start two servers."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "services.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
