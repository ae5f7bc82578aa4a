"""``python -m flows.choices`` over a project whose stages cost nothing: real git, real dvc."""

from pathlib import Path

import pytest
import yaml

from flows import choices
from flows.ablate import changed
from sigforge.config.load import load_params, validate

ROOT = Path(__file__).parents[2]

GRAPH = """
stages:
  pretrain:
    cmd: python stage.py pretrain
    deps: [stage.py]
    params: [sigformer]
    outs:
      - data/pretrain: {persist: true}
  plgn:
    matrix: {task: [vif]}
    cmd: python stage.py plgn/vif
    deps: [data/pretrain]
    params: [plgn]
    outs:
      - data/plgn/vif: {persist: true}
"""
STAGE = """
import pathlib, sys, yaml
import pyarrow as pa, pyarrow.parquet as pq
folder, other = pathlib.Path("data", sys.argv[1]), yaml.safe_load(open("params.yaml"))["sigformer"]["skip"] == "none"
folder.mkdir(parents=True, exist_ok=True)
values = {"psnr": 40.0 - 2 * other, "psnr_without_high": 20.0, "psnr_without_low": 15.0}
if sys.argv[1] == "plgn/vif":
    values = {f"ir_{name}": value / 1e3 for name, value in (("signal", 1 + other), ("signal_identity", 4), ("pixel", 3), ("pixel_identity", 4))}
    values["ir_samples"] = 7
rows = [(9, "loss", 1.0), *((9, f"val_{name}", float(value)) for name, value in values.items())]
names = ("step", "name", "value")
pq.write_table(pa.table({name: list(column) for name, column in zip(names, zip(*rows))}), folder / "history.parquet")
"""


@pytest.fixture
def project(tmp_path, monkeypatch, commit_project):
    files = {
        "dvc.yaml": GRAPH,
        "stage.py": STAGE,
        ".gitignore": "/.sigforge/\n/data/\n",
        "components/sigforge/dataset/sources/scenes": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    commit_project()


def test_the_table_tells_what_the_stages_measured(project, capfd):
    assert choices.main(["--task", "vif", "--rows", "default", "skip-none"]) == 0
    assert Path("data/ablate/vif/choices.md").read_text().splitlines() == [
        "|  | psnr | psnr_without_high | psnr_without_low | ir_pixel | ir_pixel_identity | ir_signal | ir_signal_identity |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| Default | 40.0 | 20.0 | 15.0 | 3.00 | 4.00 | 1.00 | 4.00 |",
        "| skip: none | 38.0 | 20.0 | 15.0 | 3.00 | 4.00 | 2.00 | 4.00 |",
    ]


def test_an_unknown_row_and_a_failing_stage_stop_it(project, capfd):
    assert choices.main(["--task", "vif", "--rows", "skips"]) == 2
    assert "--rows skips: no such row: choose from default, skip-pooled" in capfd.readouterr().err
    Path("stage.py").write_text("raise SystemExit('error: pretrain: no photographs')")
    assert choices.main(["--task", "vif", "--rows", "default"]) == 1
    assert "no photographs" in capfd.readouterr().err


def test_rows_are_valid_parameters():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    default = load_params(ROOT / "params.yaml")
    for row in choices.ROWS:
        assert (validate(changed(raw, row.overrides)) == default) is (row is choices.DEFAULT), row.name
