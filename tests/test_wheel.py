"""What people get by 'pip install': one package and its plugin, working without a checkout."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr and "No matching distribution" in done.stderr:
        pytest.skip("no package index to build with")
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment that holds the wheel and this environment's other packages, but no checkout; and an empty folder."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", symlinks=True)
    python = folder / "env/bin/python"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(command, env=clean, check=True)
    (site,) = (folder / "env/lib").glob("python*/site-packages")
    # A plain path: the .pth files in it, an editable install among them, are not read.
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"])
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()

    def run(*command):
        environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder)}
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)

    return run


def test_the_wheel_holds_two_packages_and_their_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"sigforge", "sigforge_prefect"}
    assert "sigforge/py.typed" in names and any(name.endswith(".j2") for name in names)
    (entries,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "sigforge_prefect.plugin" in zipfile.ZipFile(wheel).read(entries).decode()


def test_the_command_works_from_anywhere(installed):
    done = installed("sigforge", "methods")
    assert done.returncode == 0 and "gff" in done.stdout, done.stderr
    module = installed("python", "-m", "sigforge.cli", "methods")
    assert module.stdout == done.stdout and module.returncode == 0


def test_the_readmes_python_works_from_anywhere(installed):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = installed("python", "-c", block)
    assert done.returncode == 0 and "q_g" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from sigforge.metrics import score",
        "from sigforge.models import load, list_methods",
        "from sigforge.signal.ewt import ewt, iewt",
        "from sigforge.synthesis import load",
        "import sigforge.shards.loader, sigforge.shards.stream",
        "import sigforge_prefect.plugin",
        "import sigforge, os; assert 'site-packages' in sigforge.__file__",
    ],
)
def test_stable_names_are_there(installed, code):
    done = installed("python", "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["components", "flows"])
def test_nothing_else_is_installed(installed, name):
    assert "ModuleNotFoundError" in installed("python", "-c", f"import {name}").stderr
