"""Background servers, with a web server of Python's own in the place of Prefect's and MLflow's."""

import os
import socket
import subprocess
import sys

import psutil
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server import services, ui
from sigforge.core.errors import UserError


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "health").write_text("OK\n")


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def web(port, name="web", shared=False, answer=b"OK", page=None):
    command = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    page = page or f"http://127.0.0.1:{port}"
    return services.Service(name, page, "/health", answer, command, shared, "choose another with WEB_PORT=1")


def test_started_once_found_again_and_stopped(port):
    service = web(port)
    assert services.start([service]) == [service]
    process = services.running("web")
    assert services.start([service]) == [] and services.running("web") == process
    assert services.stop("web") and not process.is_running()
    assert services.running("web") is None and not services.stop("web")
    assert not service.taken()


def test_taken_port_is_named_with_its_variable(port):
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(UserError, match=f"port {port}: taken by another program; .*WEB_PORT=1"):
            services.start([web(port)])
    assert services.running("web") is None


def test_only_a_shared_service_accepts_a_server_of_somebody_else(port):
    services.start([web(port, "theirs")])
    try:
        assert services.start([web(port, shared=True)]) == []
        with pytest.raises(UserError, match="taken by another program"):
            services.start([web(port)])
    finally:
        services.stop("theirs")


def test_one_that_cannot_come_up_names_its_log_and_takes_the_others_down(port):
    broken = services.Service("broken", "http://127.0.0.1:1", "/", b"", (sys.executable, "-c", "1/0"), False, "")
    with pytest.raises(UserError, match=r"logs/broken.log: the broken server ended"):
        services.start([web(port), broken])
    assert "ZeroDivisionError" in broken.log.read_text()
    assert services.running("web") is None and not web(port).taken()


def test_server_on_another_machine_is_not_started():
    with pytest.raises(UserError, match="no web server answers there"):
        services.start([web(1, page="http://127.0.0.2:1")])


def test_reused_process_number_is_not_taken_for_ours():
    services.remember("web", os.getpid())
    assert services.running("web") == psutil.Process()
    services.STATE.joinpath("web.pid").write_text(f"{os.getpid()} 1.0")
    assert services.running("web") is None
    assert not services.stop("web")


def test_stop_ends_children_too():
    parent = subprocess.Popen(["sh", "-c", "sleep 50 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    services.remember("mlflow", parent.pid)
    ui.stop()
    assert not child.is_running() and not psutil.pid_exists(parent.pid)
    parent.wait()


def test_stop_says_when_there_is_nothing(capsys):
    ui.stop()
    assert capsys.readouterr().out == "nothing was running\n"


def test_addresses_come_from_the_settings(monkeypatch):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4321/api"}):
        server = services.prefect_server()
    assert server.page == "http://127.0.0.1:4321" and "4321" in server.command
    assert "PREFECT_API_URL=http://127.0.0.1:4322/api" in server.mend
    monkeypatch.setenv("SIGFORGE_MLFLOW_PORT", "5432")
    page = services.mlflow_page()
    assert page.page == "http://127.0.0.1:5432" and "SIGFORGE_MLFLOW_PORT=5433" in page.mend
    assert page.env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false" and page.command[-2:] == ("--workers", "1")


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1", ""])
def test_impossible_port_is_one_line_and_exit_code_2(text, monkeypatch, capsys):
    monkeypatch.setenv("SIGFORGE_MLFLOW_PORT", text)
    monkeypatch.setattr(sys, "argv", ["ui"])
    assert ui.main() == 2
    assert capsys.readouterr().err == f"error: SIGFORGE_MLFLOW_PORT={text}: not a port; give a number from 1 to 65535\n"
