"""Names of files and folders are bytes a person chose: everything works with them, and a terminal shows them safely."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from sigforge.cli.app import app
from sigforge.core.images import encode_png
from sigforge.core.parquet import read_table

GBK = os.fsdecode("夜景".encode("gbk"))
NAMES = ("1", "a\x1b[31mb", "n\nl", GBK, "x" * 251, "[b]", "50%2F", "é ü", "=1+1", "-o", "'\"&<i>")


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "\x1b[31m" not in result.output and "Traceback" not in result.output
    return result


@pytest.fixture(params=["plain", "my project", "feature%2Fx", GBK, "a#b?c"])
def folder(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in NAMES if request.param in ("plain", GBK) else NAMES[:1]:
        for side, shape in (("ir", (24, 32)), ("vis", (24, 32, 3)), ("run [ours]", (24, 32))):
            path = tmp_path / request.param / side / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(rng.integers(0, 256, shape, dtype=np.uint8)))
    return tmp_path / request.param


def test_fuse_and_score(folder):
    count = len(list((folder / "ir").iterdir()))
    fused = run("fuse", folder / "ir", folder / "vis", "-o", folder / "out", "--task", "vif", "--model", "mean")
    assert fused.exit_code == 0 and f"{count} of {count} pairs fused" in fused.stdout
    assert {path.name for path in (folder / "out").iterdir()} == {path.name for path in (folder / "ir").iterdir()}
    files = [word for kind in ("md", "tex", "html") for word in ("--leaderboard", folder / f"board.{kind}")]
    sides = ("--a", folder / "ir", "--b", folder / "vis", "--fused", folder / "out", "--fused", folder / "run [ours]")
    scored = run(
        "score", *sides, "--metrics", "en", "--csv", folder / "s.csv", "--parquet", folder / "s.parquet", *files
    )
    assert scored.exit_code == 0 and "run [ours]" in scored.stdout
    rows = read_table(folder / "s.parquet").to_pylist()
    assert {"out", "run [ours]"} <= {row["method"] for row in rows} and len({row["pair"] for row in rows}) == count
    assert len(list(csv.reader((folder / "s.csv").read_text().splitlines()))) == len(rows) + 1


@pytest.mark.parametrize("folder", [GBK], indirect=True)
def test_the_command_and_the_module_print_names_to_any_terminal(folder):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [
        sys.executable,
        "-m",
        "sigforge.cli",
        "fuse",
        "ir",
        "vis",
        "-o",
        "out é",
        "--task",
        "vif",
        "--model",
        "mean",
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    assert done.returncode == 0 and b"pairs fused with mean" in done.stdout and b"Traceback" not in done.stderr
