"""The paper's ablations as parameters: each changes what it names, and nothing that does not depend on it."""

import contextlib
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open

from sigforge.config.load import load_params
from sigforge.core.colour import luma
from sigforge.core.images import read_image
from sigforge.core.seeds import seed_of
from sigforge.dataset.tables import read_photos
from sigforge.methods.sigfusion.fusion import FusionNet
from sigforge.methods.sigfusion.plgn import load_plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, load_sigformer
from sigforge.report.figures import curves_figure
from sigforge.stages import pretext
from sigforge.stages._base import StageContext
from sigforge.tracking import StageRun
from sigforge.training.history import read_history

AFTER_SYNTH = ["pretext", "finetune", "evaluate"]
AFTER_PLGN = ["plgn", "synth", *AFTER_SYNTH]


def model(project, stage):
    return project.data / stage / ("" if stage == "pretrain" else "vif") / "model.safetensors"


def tensors(project, stage):
    with safe_open(str(model(project, stage)), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def history(project, stage):
    return read_history(model(project, stage).with_name("history.parquet"))


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def started_afresh(project, stages, capsys):
    """Stages that found their folder made with something else."""
    capsys.readouterr()
    for stage in stages:
        project.call(stage)
    said = capsys.readouterr().err
    folders = {"pretrain": "pretrain", "evaluate": "evaluate/vif/sigfusion"}
    return [stage for stage in stages if f"data/{folders.get(stage, f'{stage}/vif')}: made with other" in said]


@pytest.mark.parametrize(
    ("key", "value", "afresh"),
    [
        ("sigformer.signal", "dwt", ["pretrain", *AFTER_PLGN]),
        ("sigformer.backbone", "cnn", ["pretrain", *AFTER_PLGN]),
        ("sigformer.pretrained", False, ["pretrain", *AFTER_PLGN]),
        ("plgn.sm", "no_high", AFTER_PLGN),
        ("pretext.source", "natural", AFTER_SYNTH),
        ("pretext.target", "photograph", AFTER_SYNTH),
        ("fusion.form", "full", AFTER_SYNTH),
        ("fusion.head", "select", AFTER_SYNTH),
        ("loss.gradient", "signed", AFTER_SYNTH),
    ],
)
def test_a_switch_remakes_what_depends_on_it_and_back_again(project, finished, capsys, key, value, afresh):
    stages = ["fuse", "pretrain", *AFTER_PLGN]
    project.set(key, value)
    assert started_afresh(project, stages, capsys) == afresh
    assert [
        stage
        for stage in afresh
        if stage not in ("synth", "evaluate") and same(tensors(project, stage), tensors(finished, stage))
    ] == []
    assert started_afresh(project, stages, capsys) == []


@pytest.mark.parametrize(
    ("sm", "low", "high"), [("all", True, True), ("no_high", True, False), ("no_low", False, True)]
)
def test_modulators_of_the_named_subbands_only(project, sm, low, high):
    project.set("plgn.sm", sm)
    project.call("plgn")
    plgn = load_plgn(model(project, "plgn"))
    kinds = {
        (name.startswith("L"), name.startswith("H"))
        for channel in plgn.modulators.values()
        for name in channel.modulators
    }
    assert kinds == {kind for kind, there in (((True, False), low), ((False, True), high)) if there}
    assert [row for row in history(project, "plgn") if row.name == "loss"]


def test_without_modulators_nothing_is_trained_and_the_chain_goes_on(project, capsys):
    project.set("plgn.sm", "none")
    assert started_afresh(project, AFTER_PLGN, capsys) == AFTER_PLGN
    plgn, rows = load_plgn(model(project, "plgn")), {row.name: row.value for row in history(project, "plgn")}
    assert not list(plgn.modulators.parameters())
    assert rows and all(name.startswith("val_") for name in rows)
    assert all(rows[f"val_{name}"] == rows[f"val_{name}_identity"] for name in ("ir_signal", "vis_pixel"))
    assert (project.data / "plgn/vif/signals.parquet").exists()
    assert curves_figure([("plgn", history(project, "plgn"))], "x").lstrip().startswith("<svg")
    before = project.written("plgn/vif/model.safetensors")
    project.call("plgn")
    assert project.written("plgn/vif/model.safetensors") == before, "finished work is kept"


def test_untrained_sigformer_is_what_everything_starts_from(project, finished):
    project.set("sigformer.pretrained", False)
    project.set("plgn.sm", "none")
    project.set("pretext.source", "none")
    for stage in ("pretrain", "plgn", "pretext"):
        project.call(stage)
    params = load_params(project.folder / "params.yaml")
    torch.manual_seed(seed_of(params.seed, "pretrain"))
    untrained = SigFormer(params.sigformer.architecture).state_dict()
    assert same(tensors(project, "pretrain"), untrained)
    for stage in ("plgn", "pretext"):
        inside = {
            name.removeprefix("sigformer."): value
            for name, value in tensors(project, stage).items()
            if name.startswith("sigformer.")
        }
        assert same(inside, untrained), stage
    assert {row.name for row in history(project, "pretrain")} >= {"val_psnr", "val_psnr_without_high"}
    assert not [row for row in history(project, "pretrain") if row.name == "loss"]
    assert not same(tensors(finished, "pretrain"), untrained)


def test_how_weights_came_about_is_no_part_of_a_model_file(project):
    architecture = load_params(project.folder / "params.yaml").sigformer.architecture
    load_sigformer(model(project, "pretrain"), architecture)
    for stage in ("pretrain", "plgn", "pretext", "finetune"):
        with safe_open(str(model(project, stage)), framework="pt") as file:
            assert "pretrained" not in file.metadata()["sigforge"]


def test_without_pretext_the_network_is_handed_on_as_it_starts(project):
    project.set("pretext.source", "none")
    shutil.rmtree(project.data / "synth")
    project.call("pretext")
    params = load_params(project.folder / "params.yaml")
    torch.manual_seed(seed_of(params.seed, "pretext", "vif"))
    start = FusionNet(load_sigformer(model(project, "pretrain"), params.sigformer.architecture))
    assert same(tensors(project, "pretext"), start.state_dict())
    assert history(project, "pretext") == []
    project.call("finetune")
    assert not same(tensors(project, "finetune"), tensors(project, "pretext"))


def source_of(project, name):
    params = load_params(project.folder / "params.yaml")
    with contextlib.chdir(project.folder):
        source = pretext.SOURCES[name](StageContext("pretext", "vif", params, StageRun()))
        return [source.load(index) for index in range(source.count)]


def test_natural_pairs_are_the_photographs_of_the_synthetic_ones(project):
    natural, synthetic = source_of(project, "natural"), source_of(project, "plgn")
    photos = [project.folder / photo.path for photo in read_photos(project.data / "ingest/photos/photos.parquet")]
    assert len(natural) == len(synthetic) == len(photos)
    for pair, other, photo in zip(natural, synthetic, photos, strict=True):
        assert np.array_equal(pair[0], pair[1]) and pair.shape == other.shape
        np.testing.assert_allclose(pair[0], luma(read_image(photo)[0]), atol=1e-6)
        assert not np.array_equal(other[0], other[1])


def test_natural_pretext_does_not_care_for_the_modulators(project, capsys):
    project.set("pretext.source", "natural")
    project.call("pretext")
    project.set("plgn.steps", 4)
    assert started_afresh(project, ["plgn", "synth", "pretext"], capsys) == ["plgn", "synth"]


def test_natural_pretext_cares_for_the_photographs(project, capsys):
    project.set("pretext.source", "natural")
    project.call("pretext")
    project.set("synth.limit", 5)
    assert started_afresh(project, ["synth", "pretext"], capsys) == ["synth", "pretext"]
