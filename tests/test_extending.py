"""By docs/extending.md alone: what it shows is put where it says, found by itself, and used."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from sigforge.core.images import write_image
from sigforge.dataset.tables import read_pairs

pytestmark = pytest.mark.timeout(600)  # 25 s alone, in processes that each import torch; more beside other work

ROOT = Path(__file__).parents[1]
FILES = dict(re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", (ROOT / "docs/extending.md").read_text(), re.DOTALL))
IN_THE_HOUSE = {
    "components/sigforge/methods/classical/median.py",
    "components/sigforge/metrics/outside.py",
    "components/sigforge/dataset/sources/side_by_side.py",
}
ABROAD = {"pyproject.toml", "toy_fusion.py"}
SIGFORGE = "import sys; from sigforge.cli.app import main; main()"


def python(*arguments, path, cwd):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), "COLUMNS": "200"}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def sigforge(*arguments, **where):
    done = python("-c", SIGFORGE, *arguments, **where)
    assert done.returncode == 0, done.stderr
    return done


def pictures(folder, width=48):
    rng = np.random.default_rng(0)
    for number in range(6):
        write_image(folder / f"scene{number}.png", rng.random((40, width), dtype=np.float32))
    return folder


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the library with the page's three files in it; nothing else differs."""
    root = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "components/sigforge", root / "sigforge", ignore=shutil.ignore_patterns("__pycache__"))
    for name in IN_THE_HOUSE:
        target = root / Path(name).relative_to("components")
        assert target.parent.is_dir() and not target.exists()
        target.write_text(FILES[name])
    return root


def test_the_page_shows_these_files():
    assert set(FILES) == IN_THE_HOUSE | ABROAD


def test_a_method_and_a_metric_are_one_file_each(house, tmp_path):
    where = {"path": [house], "cwd": tmp_path}
    a, b = pictures(tmp_path / "a"), pictures(tmp_path / "b")
    told = sigforge("methods", "median", **where).stdout
    assert "vif mif" in told and "weight=0.5" in told and "none: an example 2026" in told
    sigforge("fuse", a, b, "-o", "out", "--task", "vif", "--model", "median", "--option", "weight=1", **where)
    told = sigforge("score", "--a", a, "--b", b, "--fused", "out", "--metrics", "outside,sd", **where).stdout
    assert "OUT ↓" in told and "mean distance in grey levels to the range between the sources" in told
    assert re.search(r"│ out +│ +1\.0 │ +0\.000 │", told)


def test_a_dataset_is_one_file(house, tmp_path):
    pictures(tmp_path / "pictures", width=96)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["ingest"]["vif"] |= {
        "watch": "pictures",
        "sources": [{"kind": "side_by_side", "name": "mine", "path": "pictures"}],
        "min_pairs": 4,
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    done = python("-m", "sigforge.stages.ingest", "--task", "vif", path=[house], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pairs = read_pairs(tmp_path / "data/ingest/vif/pairs.parquet")
    assert [pair.pair_id for pair in pairs] == [f"mine-scene{number}" for number in range(6)]
    assert {(pair.source, pair.height, pair.width) for pair in pairs} == {("mine", 40, 48)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which pip has installed the page's package, and one that cannot be imported."""
    pytest.importorskip("setuptools", reason="builds the package")
    target = tmp_path_factory.mktemp("site")
    toy = {name: FILES[name] for name in ABROAD}
    broken = {name: text.replace("toy", "ruin") for name, text in toy.items()}
    broken["ruin_fusion.py"] = broken.pop("toy_fusion.py") + "\nimport no_such_module\n"
    for package in (toy, broken):
        source = tmp_path_factory.mktemp("source")
        for name, text in package.items():
            (source / name).write_text(text)
        options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(target))
        subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return target


def test_an_installed_package_brings_methods_and_metrics(site, tmp_path):
    where = {"path": [site, ROOT / "components"], "cwd": tmp_path}
    done = sigforge("methods", "--task", "vif", **where)
    assert "│ toy_first " in done.stdout and "ruin_first" not in done.stdout
    assert done.stderr.splitlines() == [
        "warning: sigforge.methods of ruin-fusion 0.1 left out: ModuleNotFoundError: No module named 'no_such_module'"
    ]
    a, b = pictures(tmp_path / "a"), pictures(tmp_path / "b")
    told = sigforge("score", "--a", a, "--b", b, "--fused", a, "--metrics", "toy_brightness", **where)
    assert "TOY ↑" in told.stdout and "mean grey level" in told.stdout
    assert told.stderr.count("warning: sigforge.metrics of ruin-fusion 0.1 left out") == 1
