"""``sigforge synth`` after photographs were mended, added, changed or removed: what is good stays."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sigforge.cli.app import app
from sigforge.core.errors import UserError
from sigforge.core.images import write_image
from sigforge.methods.sigfusion.plgn import KIND, Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import save_weights
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import ShardPairs, read_samples
from sigforge.shards.verify import verify
from sigforge.synthesis.channels import task_channels

SIDE = 64


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    torch.manual_seed(0)
    config = SigFormerConfig(width=8, heads=2, signals=4)
    channels = tuple(channel.name for channel in task_channels("vif"))
    architecture = {"sigformer": config.model_dump(mode="json"), "channels": channels}
    save_weights(Path("plgn.safetensors"), Plgn(SigFormer(config), channels), kind=KIND, config=architecture)
    for n in range(6):
        write_image(f"photos/{n}.png", rng.random((SIDE, SIDE + n, 3)))
    write_image("other.png", rng.random((SIDE, SIDE, 3)))
    return tmp_path


def synth(*more):
    command = ["synth", "--task", "vif", "--images", "photos", "--out", "out", "--shard-size", "2", "--size", str(SIDE)]
    return CliRunner().invoke(app, [*command, "--model", "plgn.safetensors", "--licence", "CC0", *map(str, more)])


def made():
    """Photograph and bytes of every sample, by key."""
    samples = (sample for shard in shards_in(Path("out")) for sample in read_samples(shard))
    return {sample.key: (sample.photo_id, sample.a, sample.b) for sample in samples}


def test_a_mended_photograph_is_taken_in_and_the_rest_stays(project):
    whole = Path("photos/3.png").read_bytes()
    Path("photos/3.png").write_bytes(whole[:9000])
    first = synth()
    assert (
        first.exit_code == 0
        and "left out: photos/3.png: truncated: is cut short or damaged: copy it again" in first.stderr
    )
    before = made()
    Path("photos/3.png").write_bytes(whole)
    again = synth()
    assert again.exit_code == 0 and "1 photographs were added since its shards were made" in again.stderr
    after = made()
    assert before.items() < after.items() and after["000000005"][0] == "photos-3"
    assert verify(Path("out")) == [] and len(list(Path("out").glob("photographs.*.parquet"))) == 1
    assert "shards    3 (0 made now)" in synth().stdout


def test_added_photographs_come_behind(project):
    assert synth().exit_code == 0
    before = made()
    shutil.copy("other.png", "photos/00.png")
    assert synth().exit_code == 0
    assert before.items() < made().items() and made()["000000006"][0] == "photos-00" and verify(Path("out")) == []


def test_a_changed_photograph_is_made_again_alone(project):
    assert synth().exit_code == 0
    before = made()
    shutil.copy("other.png", "photos/2.png")
    assert "0 photographs were added, 1 changed" in synth().stderr
    after = made()
    assert {key for key in before if before[key] != after[key]} == {"000000002"} and len(ShardPairs(Path("out"))) == 6


@pytest.mark.parametrize(
    ("change", "word", "way_out"),
    [
        (
            lambda: Path("photos/2.png").rename("2.png"),
            "1 photographs were removed",
            lambda: Path("2.png").rename("photos/2.png"),
        ),
        (
            lambda: shutil.copy("plgn.safetensors", "old") and altered_model(),
            "with another model:",
            lambda: shutil.copy("old", "plgn.safetensors"),
        ),
    ],
)
def test_each_cause_has_its_own_line_and_way_out(project, change, word, way_out):
    assert synth().exit_code == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    change()
    refused = synth()
    assert refused.exit_code == 2 and word in refused.stderr
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
    way_out()
    assert synth().exit_code == 0


def altered_model():
    torch.manual_seed(5)
    config = SigFormerConfig(width=8, heads=2, signals=4)
    channels = tuple(channel.name for channel in task_channels("vif"))
    architecture = {"sigformer": config.model_dump(mode="json"), "channels": channels}
    save_weights(Path("plgn.safetensors"), Plgn(SigFormer(config), channels), kind=KIND, config=architecture)


def test_other_options_and_a_damaged_shard(project):
    assert synth().exit_code == 0
    before = made()
    seeded = synth("--seed", 1)
    assert seeded.exit_code == 2 and "made with another --size, --shard-size, --seed" in seeded.stderr
    with Path("out/vif-train-000001.tar").open("ab") as file:
        file.write(b"x")
    assert synth().exit_code == 0 and made() == before and verify(Path("out")) == []
    Path("out/vif-train-000001.json").write_text("{")
    assert synth().exit_code == 0 and made() == before and verify(Path("out")) == []


def flip(path):
    data = bytearray(path.read_bytes())
    data[700] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [("vif-train-000001.tar", flip), ("vif-train-000001.parquet", flip), ("vif-train-000001.parquet", Path.unlink)],
)
def test_the_advice_on_a_damaged_shard_works(project, name, damage):
    assert synth().exit_code == 0
    before = made()
    damage(Path("out") / name)
    with pytest.raises(UserError, match="make this shard again: remove its .json file and run 'synth' as before"):
        pairs = ShardPairs(Path("out"))
        [pairs[n] for n in range(len(pairs))]
    result = CliRunner().invoke(app, ["verify", "out"])
    assert result.exit_code == 1 and "remove the .json file and run 'synth' as before" in result.stderr
    Path("out/vif-train-000001.json").unlink()
    assert "(1 made now)" in synth().stdout
    assert made() == before and CliRunner().invoke(app, ["verify", "out"]).exit_code == 0
