"""Flow ``ablate`` over a project whose stages cost nothing: real git, real dvc."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows import ablate
from flows.ablate import DEFAULT, ROWS, AblationRow, changed
from sigforge.config.load import load_params, validate
from sigforge.evaluation.ablation import PAPER, read_ablation
from sigforge.evaluation.table_formats import to_markdown

ROOT = Path(__file__).parents[2]

GRAPH = """
stages:
  pretrain:
    cmd: python stage.py pretrain ../photos
    deps: [../photos]
    params: [sigformer]
    outs:
      - data/pretrain: {persist: true}
  evaluate:
    matrix: {task: [vif, mif]}
    cmd: python stage.py evaluate/${item.task} data/pretrain
    deps: [data/pretrain, stage.py]
    params: [plgn]
    outs:
      - data/evaluate/${item.task}: {persist: true}
"""
STAGE = """
import json, pathlib, sys, yaml
folder, params = pathlib.Path("data", sys.argv[1]), yaml.safe_load(open("params.yaml"))
assert pathlib.Path(sys.argv[2]).is_dir()
if params["plgn"]["sm"] == "no_low":
    sys.exit("error: evaluate@vif: no low subband")
folder.mkdir(parents=True, exist_ok=True)
means = {"q_g": {"all": 0.5, "none": 0.25}[params["plgn"]["sm"]]}
(folder / "summary.json").write_text(json.dumps({"pairs": 3, "methods": {"sigfusion": means, "max": {"q_g": 1.0}}}))
"""
# Stand-ins for modules that would load torch in every process.
CHECK = """
import sys, yaml
if yaml.safe_load(open("params.yaml"))["plgn"]["sm"] == "most":
    sys.exit("error: params.yaml: key 'plgn.sm': got 'most'; correct it")
"""
TABLE = """
import pathlib, sys
(pathlib.Path(sys.argv[1]) / "table.md").write_text("| the table |")
"""
TINY = (
    AblationRow("w/o-all SM", "no-sm", {"plgn.sm": "none"}),
    AblationRow("w/o-low SM", "no-low", {"plgn.sm": "no_low"}),
    DEFAULT,
)


@pytest.fixture
def project(tmp_path, monkeypatch, commit_project):
    """A committed project with sources outside of it, and an edit since the commit."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/one").write_text("1")
    folder = tmp_path / "project"
    folder.mkdir()
    files = {
        "dvc.yaml": GRAPH,
        "stage.py": STAGE,
        ".gitignore": "/.sigforge/\n/data/\n__pycache__/\n",
        "components/sigforge/__init__.py": "",
        "components/sigforge/config.py": CHECK,
        "components/sigforge/evaluation/ablation.py": TABLE,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["ingest"]["vif"]["sources"] = [
        {"kind": "folders", "name": "x", "subtask": "vif", "a": "../photos", "b": "../photos"}
    ]
    raw["ingest"]["vif"]["watch"] = "../photos"
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder / "components"))
    monkeypatch.setattr(ablate, "ROWS", TINY)
    commit_project()
    Path("stage.py").write_text(STAGE.replace('"none": 0.25', '"none": 0.75'))
    return folder


def ran(text):
    """Row to the stages that ran for it."""
    parts = re.split(r"^(Default|w/o-\S+ SM): .*$", text, flags=re.MULTILINE)[1:]
    return {
        name: re.findall(r"^Running stage '(.+)'", log, re.MULTILINE)
        for name, log in zip(parts[::2], parts[1::2], strict=True)
    }


def test_rows_run_apart_fail_alone_and_are_kept(project, monkeypatch, capfd):
    before = {name: Path(name).read_bytes() for name in ("params.yaml", "stage.py", "dvc.yaml")}
    assert ablate.main(["--task", "vif"]) == 1
    said = capfd.readouterr()
    assert "1 of 3 rows failed (w/o-low SM); see data/ablate/vif/table.md" in said.err
    assert list(ran(said.out).items())[:2] == [
        ("Default", ["pretrain", "evaluate@vif"]),
        ("w/o-all SM", ["evaluate@vif"]),
    ]
    rows = {row["row"]: row for row in json.loads(Path("data/ablate/vif/rows.json").read_text())["rows"]}
    assert list(rows) == [row.name for row in TINY]
    assert rows["w/o-all SM"]["means"] == {"q_g": 0.75}, "the edit since the commit counts"
    assert rows["Default"]["pairs"] == 3 and rows["Default"]["means"] == {"q_g": 0.5}
    assert rows["w/o-low SM"]["error"].startswith("error: evaluate@vif: no low subband (all of it: /")
    table = to_markdown(read_ablation(Path("data/ablate/vif/rows.json")).printed())
    assert "| w/o-all SM | plgn.sm=none | 0.7500 | 0.4018 |" in table and "simulated" not in table

    assert {name: Path(name).read_bytes() for name in before} == before and not Path("dvc.lock").exists()
    experiments = subprocess.run(
        [sys.executable, "-m", "dvc", "exp", "list", "--name-only"], capture_output=True, text=True
    )
    assert set(experiments.stdout.split()) == {"ablate-vif-default", "ablate-vif-no-sm"}

    Path("stage.py").write_text(Path("stage.py").read_text() + "# changed\n")
    monkeypatch.setattr(ablate, "ROWS", TINY[::2])
    assert ablate.main(["--task", "vif"]) == 0
    redone = {"Default": ["evaluate@vif"], "w/o-all SM": ["evaluate@vif"]}
    assert ran(capfd.readouterr().out) == redone, "finished work is kept, what is stale is made again"


def test_a_folder_without_commits_or_with_bad_parameters_is_refused(project, capfd):
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("sm: all", "sm: most"))
    assert ablate.main(["--task", "vif"]) == 2
    assert "key 'plgn.sm'" in capfd.readouterr().err
    subprocess.run(["git", "checkout", "-q", "params.yaml"], check=True)
    subprocess.run(["git", "update-ref", "-d", "HEAD"], check=True)
    assert ablate.main(["--task", "vif"]) == 2
    assert "a git repository with a commit" in capfd.readouterr().err
    assert not Path("data/ablate").exists()


def test_the_flow_shows_the_table_and_fails_if_a_row_did(server, project, monkeypatch):
    from prefect.artifacts import Artifact

    monkeypatch.setattr(ablate, "ROWS", (TINY[1], DEFAULT))
    state = ablate.ablate("vif", return_state=True)
    assert state.is_failed() and "1 of 2 rows failed (w/o-low SM)" in state.message
    assert Artifact.get("ablate-vif").data == "| the table |"


def test_rows_are_the_papers_and_valid_parameters():
    names = [row.name for row in ROWS]
    assert [name for name in names if "(ours)" not in name] == list(PAPER["vif"])
    assert len({row.slug for row in ROWS}) == len(ROWS) and DEFAULT in ROWS and not DEFAULT.overrides
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    default = load_params(ROOT / "params.yaml")
    for row in ROWS:
        assert (validate(changed(raw, row.overrides)) == default) is (row == DEFAULT), row.name
    assert raw == yaml.safe_load((ROOT / "params.yaml").read_text())
