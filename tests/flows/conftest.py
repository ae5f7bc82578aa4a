import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_HOME, PREFECT_LOGGING_TO_API_BATCH_INTERVAL, temporary_settings
from prefect.testing.utilities import prefect_test_harness

ROOT = Path(__file__).parents[2]

# 'fuse' is slow (of mif: seconds, of vif: minutes), 'synth' of mfif is broken.
GRAPH = """
stages:
  fuse:
    matrix: {task: [vif, mif]}
    cmd: sh fuse.sh ${item.task}
    outs: ["data/fuse/${item.task}"]
  plgn:
    matrix: {task: [vif, mif, mfif, mef]}
    cmd: echo "modulators of ${item.task}" && mkdir -p data/plgn/${item.task} && echo 1 > data/plgn/${item.task}/m
    outs: ["data/plgn/${item.task}"]
  synth:
    matrix: {task: [vif, mif, mfif, mef]}
    cmd: sh synth.sh ${item.task}
    deps: ["data/plgn/${item.task}"]
    outs: ["data/synth/${item.task}"]
  report:
    cmd: cp data/fuse/mif/f report
    deps: [data/fuse/mif]
    outs: [report]
"""
FUSE = """
echo $$ > fuse-$1.pid; echo "fusing $1"
case $1 in mif) sleep 3;; *) sleep 100;; esac
mkdir -p data/fuse/$1 && echo 1 > data/fuse/$1/f
"""
SYNTH = """
if [ $1 = mfif ]; then echo "error: synth@mfif: no photographs" >&2; exit 2; fi
echo "shards of $1"; mkdir -p data/synth/$1
echo '{"shard": "s0", "samples": 3, "failures": 1, "bytes": 2000000, "seconds": 0.5}' > data/synth/$1/$1-train-0.json
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def server(home):
    with temporary_settings({PREFECT_HOME: home, PREFECT_LOGGING_TO_API_BATCH_INTERVAL: 0.1}):
        with prefect_test_harness(server_startup_timeout=120):
            with get_client(sync_client=True) as client:
                yield client


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A DVC project of our shape with stages that cost nothing, as the current folder."""
    for name, text in {"dvc.yaml": GRAPH, "fuse.sh": FUSE, "synth.sh": SYNTH}.items():
        (tmp_path / name).write_text(text)
    shutil.copy(ROOT / "prefect.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], check=True)
    return tmp_path


@pytest.fixture
def commit_project():
    """Makes the present folder a git repository and DVC project, all committed."""

    def commit():
        for command in (
            "git init -q",
            f"{sys.executable} -m dvc init -q",
            "git add .",
            "git -c user.name=t -c user.email=t@t commit -qm x",
        ):
            subprocess.run(command.split(), check=True)

    return commit
