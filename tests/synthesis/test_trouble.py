"""``sigforge synth`` in trouble: a lost connection to S3, a full disk, photographs that vanish; a rerun completes it."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from sigforge.cli.app import app
from sigforge.core.files import write_atomic
from sigforge.core.images import write_image
from sigforge.methods.sigfusion.plgn import KIND, Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import save_weights
from sigforge.shards.layout import shards_in
from sigforge.shards.verify import verify
from sigforge.synthesis.channels import task_channels

SIDE = 64
PAGE = 4096


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("factory"), np.random.default_rng(1)
    torch.manual_seed(0)
    config = SigFormerConfig(width=8, heads=2, signals=4)
    channels = tuple(channel.name for channel in task_channels("vif"))
    architecture = {"sigformer": config.model_dump(mode="json"), "channels": channels}
    save_weights(folder / "plgn.safetensors", Plgn(SigFormer(config), channels), kind=KIND, config=architecture)
    for n in range(6):
        write_image(folder / f"photos/{n}.png", rng.random((SIDE, SIDE + n, 3)))
    (folder / "photos/empty.png").touch()
    options = {"task": "vif", "images": folder / "photos", "shard-size": 2, "size": SIDE}
    options |= {"model": folder / "plgn.safetensors", "licence": "CC0"}
    return ["synth", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


def run(capsys, command, *more):
    with pytest.raises(SystemExit) as code:
        app([*command, *(str(word) for word in more)])
    told = capsys.readouterr()
    return code.value.code, told.out, [line for line in told.err.splitlines() if line.startswith("error:")]


def contents(folder):
    """Every byte, but for the seconds in done-markers."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {n: json.loads(data) | {"seconds": 0} if n.endswith(".json") else data for n, data in files.items()}


def test_a_lost_connection_and_a_rerun(command, s3, capsys, tmp_path, monkeypatch):
    assert run(capsys, command, "--out", tmp_path / "here")[0] == 0
    replaced = type(s3.folder).replaced

    def cut(path):
        if path.name == "vif-train-000001.parquet":
            s3.stop()
        return replaced(path)

    with monkeypatch.context() as patch:
        patch.setattr(type(s3.folder), "replaced", cut)
        code, _, errors = run(capsys, command, "--out", s3.folder)
    assert code == 2 and len(errors) == 1
    assert errors[0].startswith(f"error: {s3.folder}/vif-train-000001.parquet: S3 does not answer, or broke off (")
    assert errors[0].endswith("check the network and AWS_ENDPOINT_URL, then run again; finished work is kept")
    s3.start()
    assert [shard.tar.stem[-1] for shard in shards_in(s3.folder)] == ["0"]
    kept = shards_in(s3.folder)[0].done.read_bytes()
    assert run(capsys, command, "--out", s3.folder)[0] == 0
    assert contents(s3.folder) == contents(tmp_path / "here")
    assert shards_in(s3.folder)[0].done.read_bytes() == kept and verify(s3.folder) == []


def test_a_full_disk_and_a_rerun(command, capsys, tmp_path):
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    assert run(capsys, command, "--out", tmp_path / "here")[0] == 0
    disk = tmp_path / "disk"
    disk.mkdir()
    pages = {path.name: -(-path.stat().st_size // PAGE) for path in (tmp_path / "here").iterdir()}
    others = sum(count for name, count in pages.items() if "000001" not in name and "000002" not in name)
    room = others + pages["vif-train-000001.tar"] // 2
    size = f"size={room * PAGE // 1024}k"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small file system failed")
    try:
        code, _, errors = run(capsys, command, "--out", disk / "out")
        assert code == 2 and len(errors) == 1
        assert (
            errors[0].startswith(f"error: disk full while writing {disk}/out/vif-train-") and "free space" in errors[0]
        )
        kept = shards_in(disk / "out")
        assert len(kept) == 1 and not list((disk / "out").glob(".*"))
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        before = [shard.done.read_bytes() for shard in kept]
        assert run(capsys, command, "--out", disk / "out")[0] == 0
        assert [shard.done.read_bytes() for shard in kept] == before
        assert contents(disk / "out") == contents(tmp_path / "here")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_photographs_that_vanish_and_a_rerun(command, capsys, tmp_path, monkeypatch):
    from sigforge.cli import synth

    assert run(capsys, command, "--out", tmp_path / "here")[0] == 0
    photos = Path(command[command.index("--images") + 1])
    original = synth.check_photos

    def vanish(*arguments):
        checked = original(*arguments)
        photos.rename(tmp_path / "away")
        return checked

    with monkeypatch.context() as patch:
        patch.setattr(synth, "check_photos", vanish)
        code, _, errors = run(capsys, command, "--out", tmp_path / "out")
    (tmp_path / "away").rename(photos)
    assert code == 2 and len(errors) == 1
    assert errors[0].startswith(f"error: {photos}: the folder of photographs has vanished: bring it back and run again")
    assert run(capsys, command, "--out", tmp_path / "out")[0] == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "here")


def test_mistakes_stop_it_before_the_first_photograph(command, s3, capsys, monkeypatch):
    monkeypatch.setattr("sigforge.cli.synth.check_photos", None)
    assert run(capsys, command, "--out", "s3://nowhere/x")[2] == [
        "error: s3://nowhere: no such bucket: create it, or correct the address"
    ]
    assert "not a place for shards" in run(capsys, command, "--out", "gs://bucket/x")[2][0]
    s3.stop()
    assert "S3 does not answer" in run(capsys, command, "--out", s3.folder)[2][0]


def test_shards_of_another_run_are_left_alone(command, s3, capsys):
    write_atomic(s3.folder / "vif-train-000000.json", json.dumps({"bytes": 1, "key": {}}))
    code, _, errors = run(capsys, command, "--out", s3.folder)
    assert code == 2 and errors[0].startswith(f"error: {s3.folder}/vif-train-000000.tar: made with another model")


def test_the_plan_of_a_remote_run(command, s3, capsys):
    code, told, _ = run(capsys, command, "--out", s3.folder, "--plan")
    assert code == 0 and f"{s3.folder}: no limit known" in told and not s3.folder.is_dir()
