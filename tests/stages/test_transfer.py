"""Stage ``transfer``: synthetic pairs first, then the real ones; and what the tables say of the difference."""

import json
import shutil

import pytest
import torch

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.images import read_image
from sigforge.dataset.tables import read_photos
from sigforge.methods.systems.training import Material
from sigforge.methods.weights import read_kind, read_weights
from sigforge.shards.pairs import ShardPairs
from tests.stages.test_systems import ALL, PARTS, SHORT, Killed, kill_at

MODELS = "transfer/**/model.safetensors"


def state(path):
    return read_weights(path, kind=read_kind(path))[0]


def set_systems(project, names, options=ALL):
    project.set("systems.vif", {name: options[name] for name in names})
    project.set("transfer.vif", list(names))


def test_all_five_learn_from_synthetic_pairs_first_and_stand_in_the_tables(project, steps):
    set_systems(project, ALL)
    for stage in ("systems", "transfer"):
        project.call(stage)
    found = {path.relative_to(project.data / "transfer/vif").as_posix() for path in project.data.glob(MODELS)}
    runs = {f"{name}/{first}{part}" for name in ALL for first in ("", "synthetic/") for part in ("", *PARTS[name])}
    assert found == {f"{run.rstrip('/')}/model.safetensors" for run in runs}
    project.call("evaluate")
    summary = json.loads((project.data / "evaluate/vif/summary.json").read_text())
    assert {f"{name}_synth" for name in ALL} | set(ALL) < set(summary["methods"])
    steps.clear()
    before = project.written("transfer/**/*.*")
    project.call("transfer")
    assert steps == [] and project.written("transfer/**/*.*") == before


def test_the_real_runs_begin_with_what_the_synthetic_ones_left(project):
    """With a learning rate of nothing, what comes out is what went in."""
    still = {"views": SHORT | {"steps": 1, "lr": 1e-30}, "network": {"width": 8, "channels": 1}}
    set_systems(project, ["defusion"], {"defusion": still})
    project.call("systems")
    project.call("transfer")
    folder = project.data / "transfer/vif/defusion"
    first, last = (state(path) for path in (folder / "synthetic/model.safetensors", folder / "model.safetensors"))
    alone = state(project.data / "systems/vif/defusion/model.safetensors")
    assert all(torch.equal(first[name], last[name]) for name in first)
    assert all(torch.equal(first[name], alone[name]) for name in first), "both begin alike without any training"
    set_systems(project, ["defusion"], {"defusion": still | {"views": SHORT}})
    project.call("systems")
    project.call("transfer")
    alone, last = (state(project.data / stage / "vif/defusion/model.safetensors") for stage in ("systems", "transfer"))
    assert any(not torch.equal(alone[name], last[name]) for name in alone)


def test_synthetic_material_is_the_shards_and_their_photographs(project, monkeypatch):
    from sigforge.stages import transfer

    seen = []
    monkeypatch.setattr(transfer, "train_runs", lambda context, name, data, *_: seen.append(data))
    monkeypatch.setattr(transfer, "train_each", lambda context, names, train: [train(name) for name in names])
    set_systems(project, ["emma"])
    monkeypatch.chdir(project.folder)
    project.call("transfer")
    synthetic, real = seen
    assert isinstance(synthetic, Material) and synthetic.start is None
    assert real.start == project.data.relative_to(project.folder) / "transfer/vif/emma/synthetic"
    assert (synthetic.pairs.count, real.pairs.count) == (8, 5) and synthetic.fused.count == 8
    shards = ShardPairs(project.data / "synth/vif")
    photograph, infrared, visible = synthetic.fused.load(3)
    assert (synthetic.pairs.load(3) == [infrared, visible]).all()
    assert infrared.shape == visible.shape == photograph.shape and (luma(shards[3][0]) == infrared).all()
    photos = {photo.photo_id: photo.path for photo in read_photos(project.data / "ingest/photos/photos.parquet")}
    whole = read_image(photos[shards.row(3)["photo_id"]])[0]
    assert whole.shape[:2] == photograph.shape, "demo photographs are as large as the samples"
    assert (photograph == luma(whole)).all()


@pytest.mark.parametrize("count", [2, 4, 8, 11], ids=["structure", "fusion", "real structure", "real fusion"])
def test_killed_and_started_again_ends_with_the_same_bytes(project, monkeypatch, count):
    set_systems(project, ["sspfusion"])
    with monkeypatch.context() as patch:
        kill_at(patch, count)
        with pytest.raises(Killed):
            project.call("transfer")
    assert not (project.data / "transfer/vif/sspfusion/model.safetensors").exists()
    project.call("transfer")
    resumed = project.files("transfer/**/*.*")
    shutil.rmtree(project.data / "transfer")
    project.call("transfer")
    assert project.files("transfer/**/*.*") == resumed and resumed


def test_new_shards_and_new_options_train_anew_and_what_is_not_named_goes(project, steps):
    set_systems(project, ["defusion", "sspfusion"])
    project.call("transfer")
    steps.clear()
    project.set("systems.vif.defusion", ALL["defusion"] | {"views": SHORT | {"steps": 2}})
    project.call("transfer")
    assert len(steps) == 2 * 2
    project.set("synth.limit", 5)
    project.call("synth")
    steps.clear()
    project.call("transfer")
    assert len(steps) == 2 * 2 + 4 * SHORT["steps"]
    project.set("transfer.vif", ["sspfusion"])
    project.call("transfer")
    assert [path.name for path in (project.data / "transfer/vif").iterdir()] == ["sspfusion"]


def test_a_system_without_options_is_a_mistake(project):
    project.set("systems.vif", {})
    project.set("transfer.vif", ["emma"])
    with pytest.raises(UserError, match=r"transfer\.vif: 'emma' is not under 'systems\.vif'; name it there, too"):
        project.call("transfer")


def test_without_shards_one_line_says_what_makes_them(project):
    set_systems(project, ["sspfusion"])
    shutil.rmtree(project.data / "synth")
    with pytest.raises(UserError, match=r"data/synth/vif: .*run 'dvc repro synth@vif'"):
        project.call("transfer")


def test_a_method_may_not_take_a_trained_systems_name(project):
    project.set("fuse.vif", {"emma_synth": {"external": "folder", "path": "x"}})
    with pytest.raises(UserError, match=r"'emma_synth' is trained here"):
        project.call("fuse")
