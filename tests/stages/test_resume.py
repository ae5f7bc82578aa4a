"""Killed half-way and started again: what was finished stays, and the end is the same to the byte."""

import os
import shutil
import signal

import psutil
import pytest
from safetensors import safe_open

from sigforge.core.progress import Progress
from sigforge.dataset.tables import read_pairs, read_photos

RESULTS = "**/*.[st]a*"  # safetensors, tars
STEPS, EVERY = 60, 10


def block(path):
    """Replace a file by a pipe: whoever opens it waits for ever. Returns what puts the file back."""
    data = path.read_bytes()
    path.unlink()
    os.mkfifo(path)

    def unblock():
        path.unlink()
        path.write_bytes(data)

    return unblock


def kill(process):
    """SIGKILL, and every process it had started."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return children


def is_gone(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # dead, and nobody has asked yet
    except psutil.NoSuchProcess:
        return True


def test_training_killed_after_a_checkpoint(project, finished, steps, until, monkeypatch):
    bars = {}
    monkeypatch.setattr(Progress, "finish", lambda bar: bars.update({bar.label: (bar.found, bar.done)}))
    project.set("plgn.steps", STEPS)
    project.set("plgn.checkpoint_every", EVERY)
    held_out = read_pairs(project.data / "ingest/vif/pairs.parquet", "val")[0]
    unblock = block(project.folder / held_out.a_path)  # read after the last step: the run cannot end before the kill
    checkpoint = project.data / "plgn/vif/checkpoint.safetensors"
    process = project.start("plgn")
    until(checkpoint.exists, "the first checkpoint")
    kill(process)
    unblock()
    assert not (project.data / "plgn/vif/history.parquet").exists()
    with safe_open(checkpoint, framework="pt") as file:
        reached = int(file.metadata()["step"])
    project.call("plgn")
    assert EVERY <= reached < STEPS and steps == list(range(reached, STEPS))
    assert bars["plgn@vif"] == (reached, STEPS), "steps of the killed run say nothing of the speed"
    resumed = project.files("plgn/**/*")
    assert "plgn/vif/checkpoint.safetensors" not in resumed
    shutil.rmtree(project.data / "plgn")
    steps.clear()
    project.call("plgn")
    assert steps == list(range(STEPS))
    assert project.files("plgn/**/*") == resumed


def test_shards_killed_after_the_first(project, finished, until):
    """Two worker processes, one of which hangs on a photograph of the second shard."""
    project.set("compute.workers", 2)
    shards = project.data / "synth/vif"
    for file in list(shards.iterdir()):
        file.unlink()
    photos = read_photos(project.data / "ingest/photos/photos.parquet")
    unblock = block(project.folder / photos[4].path)
    process = project.start("synth")
    until(lambda: all((shards / f"vif-train-00000{index}.json").exists() for index in (0, 2)), "the other shards")
    children = kill(process)
    unblock()
    until(lambda: all(map(is_gone, children)), "the workers to die with the stage", seconds=10)
    assert len(children) >= 2 and not (shards / "vif-train-000001.tar").exists()
    before = project.written("synth/vif/*-00000[02].*")
    assert len(before) == 6
    project.call("synth")
    assert project.written("synth/vif/*-00000[02].*") == before
    assert not list(shards.glob(".*"))
    for suffix in ("tar", "parquet"):
        assert project.files(f"synth/vif/*.{suffix}") == finished.files(f"synth/vif/*.{suffix}")


@pytest.mark.parametrize("stage", ["systems", "pretrain", "plgn", "synth", "pretext", "finetune"])
def test_a_finished_stage_is_not_done_again(project, capsys, steps, stage):
    before = project.written(f"{stage}/{RESULTS}")
    project.call(stage)
    assert "starting afresh" not in capsys.readouterr().err and steps == []
    assert before and project.written(f"{stage}/{RESULTS}") == before


@pytest.mark.parametrize(
    ("stage", "key", "value"),
    [
        ("pretrain", "pretrain.lr", 2e-3),
        ("plgn", "plgn.steps", 4),
        ("synth", "synth.image_format", "png"),
        ("finetune", "seed", 7),
    ],
)
def test_a_changed_parameter_starts_afresh_and_says_so(project, finished, capsys, stage, key, value):
    folder = "pretrain" if stage == "pretrain" else f"{stage}/vif"
    (project.data / folder / "stray").write_text("of the old run")
    project.set(key, value)
    project.call(stage)
    said = capsys.readouterr().err
    assert f"data/{folder}: made with other parameters, inputs or code; starting afresh\n" in said
    assert not (project.data / folder / "stray").exists()
    old, new = (run.files(f"{stage}/{RESULTS}") for run in (finished, project))
    assert old and old.keys() == new.keys() and all(old[name] != new[name] for name in old)


def test_a_changed_input_starts_afresh(project, capsys):
    project.set("pretrain.lr", 2e-3)
    project.call("pretrain")
    capsys.readouterr()
    project.call("plgn")
    assert "data/plgn/vif: made with other parameters, inputs or code; starting afresh" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["model.safetensors", "history.parquet"])
def test_a_lost_file_is_made_again(project, finished, lost):
    (project.data / "finetune/vif" / lost).unlink()
    project.call("finetune")
    assert project.files("finetune/**/*") == finished.files("finetune/**/*")


def test_a_kill_while_wiping_leaves_nothing_that_looks_finished(project, finished, monkeypatch, capsys):
    """The old parameters come back after a wipe that ended half-way: half of the old files must not be taken."""

    def die(folder):
        (folder / "vif-train-000001.tar").unlink()
        raise KeyboardInterrupt

    project.set("synth.image_format", "png")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", die)
        project.call("synth")
    project.set("synth.image_format", "webp")
    capsys.readouterr()
    project.call("synth")
    assert "starting afresh" in capsys.readouterr().err
    assert project.files("synth/**/*.tar") == finished.files("synth/**/*.tar")
