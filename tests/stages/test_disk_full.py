"""A full disk, for real: one error line, nothing half-written, and with space again the same bytes as ever."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from sigforge.stages._base import main

PAGE = 4096
STEP = 2
"""More free pages with every try; files are one to eight pages long."""


@pytest.fixture
def disk(tmp_path):
    """A file system of 1 MiB."""
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting a small file system failed: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk, pages):
    """Leave so many pages free."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - pages * PAGE))


def move(project, stage, disk):
    """Let the outputs of ``stage`` go to ``disk``; what was there is forgotten."""
    (disk / stage).mkdir()
    shutil.rmtree(project.data / stage)
    (project.data / stage).symlink_to(disk / stage)


def scraps(disk):
    return [path for path in disk.rglob("*") if ".tmp" in path.name]


def made(project, stage):
    """Files whose bytes depend on nothing but the parameters; tables with seconds do."""
    timed = ("corpus.parquet", ".json")
    return {name: data for name, data in project.files(f"{stage}/**/*").items() if not name.endswith(timed)}


def test_shards_on_a_full_disk(project, finished, disk):
    move(project, "synth", disk)
    fill(disk, 15)
    done = project.command("synth")
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and [line.startswith("error: ") for line in lines] == [False, True], done.stderr
    assert lines[1].startswith("error: synth@vif: disk full while writing data/synth/vif/vif-train-00000")
    assert "free space" in lines[1] and "finished work is kept" in lines[1]
    kept = {f"vif-train-000000.{suffix}" for suffix in ("tar", "parquet", "json")}
    assert {path.name for path in (disk / "synth/vif").iterdir()} == kept | {"KEY"}
    before = project.written("synth/vif/*-000000.*")
    (disk / "ballast").unlink()
    assert project.command("synth").returncode == 0
    assert project.written("synth/vif/*-000000.*") == before
    assert made(project, "synth") == made(finished, "synth")


@pytest.mark.parametrize("stage", ["fuse", "pretrain", "plgn", "synth", "pretext", "finetune", "evaluate"])
def test_wherever_the_disk_fills_up(project, finished, disk, capsys, stage):
    move(project, stage, disk)
    failures, pages = 0, 0
    fill(disk, pages)
    while project.main(stage) == 2:
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and "disk full" in errors[0] and f"data/{stage}" in errors[0]
        assert scraps(disk) == []
        failures, pages = failures + 1, pages + STEP
        fill(disk, pages)
    assert failures >= 2 and scraps(disk) == []
    assert made(project, stage) == made(finished, stage)


def test_a_folder_that_cannot_be_made(bare, capsys, monkeypatch):
    """Writers of files explain a full disk themselves; for all else there is the command line."""

    def run(context):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/fuse/vif")

    monkeypatch.chdir(bare.folder)
    monkeypatch.setattr(sys, "argv", ["stage", "--task", "vif"])
    assert main("fuse", run, sections=("fuse",)) == 2
    error = "error: fuse@vif: data/fuse/vif: disk full; free space and run again, finished work is kept\n"
    assert capsys.readouterr().err == error


def test_ingest_on_a_full_disk(project, finished, disk, capsys):
    photos = shutil.copytree(project.data / "ingest/photos", disk.parent / "photos")
    move(project, "ingest", disk)
    shutil.move(photos, project.data / "ingest/photos")
    for pages in (0, 5, 20, 30):
        shutil.rmtree(project.data / "ingest/vif", ignore_errors=True)
        fill(disk, pages)
        assert project.main("ingest") == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ingest@vif: ") and "disk full" in error and "free space" in error
        assert scraps(disk) == []
    (disk / "ballast").unlink()
    assert project.main("ingest") == 0
    assert made(project, "ingest") == made(finished, "ingest")
