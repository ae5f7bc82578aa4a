from pathlib import Path

import numpy as np
import torch

from sigforge.cli.doctor import examine


def doctor(capsys):
    assert examine() == 0
    return capsys.readouterr().out


def test_doctor_warns_outside_of_a_project(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    states = {line.split()[1]: line.split()[0] for line in doctor(capsys).splitlines()}
    assert set(states) == {"python", "packages", "torch", "disk", "dvc", "params", "browser"}
    assert states["python"] == states["torch"] == "ok"
    assert states["packages"] == states["dvc"] == states["params"] == "warn"


def test_doctor_compares_versions_and_reads_params(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("constraints.txt").write_text(f"numpy==0.1\ntorch=={torch.__version__.partition('+')[0]}\nabsent==1\n")
    Path("params.yaml").write_text("seed: [\n")
    Path(".dvc").mkdir()
    output = doctor(capsys)
    assert f"warn packages  numpy {np.__version__}, not 0.1; see constraints.txt\n" in output
    assert "not valid YAML" in output and "no dvc.yaml here" in output
    Path("constraints.txt").write_text(f"numpy=={np.__version__}\nabsent==1\n")
    assert "1 of 2 pinned, all in the pinned version" in doctor(capsys)
