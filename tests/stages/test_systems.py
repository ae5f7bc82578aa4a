"""Stage ``systems``: what it trains, what it keeps, and that what it made fuses, is scored and shown."""

import json
import shutil

import pytest
import torch

from sigforge.config.load import load_params
from sigforge.core.errors import UserError
from sigforge.dataset.corpus import read_corpus
from sigforge.evaluation.references import REFERENCES
from sigforge.methods.loading import load
from sigforge.training import loop

SHORT = {"steps": 3, "batch": 2, "crop": 32, "checkpoint_every": 2, "log_every": 1}
ALL = {
    "defusion": {"network": {"width": 8, "channels": 1}, "views": SHORT},
    "defusion_pp": {"network": {"width": 48, "depth": 1}, "views": SHORT, "pairs": SHORT},
    "emma": {
        "network": {"widths": [8, 8, 8, 8]},
        "senses": {"width": 2},
        "sensing": SHORT,
        "fusion": SHORT | {"batch": 1},
    },
    "refusion_trained": {"training": SHORT, "meta_steps": 1, "fusion_steps": 1},
    "sspfusion": {"network": {"widths": [4, 4, 4], "blocks": 1}, "structure": SHORT, "fusion": SHORT},
}
PARTS = {
    "defusion": (),
    "defusion_pp": ("views",),
    "emma": ("sensing",),
    "refusion_trained": (),
    "sspfusion": ("structure",),
}
MODELS = "systems/**/model.safetensors"


class Killed(BaseException):
    """What ends a training at once, as a signal would."""


def kill_at(monkeypatch, count):
    """Make the ``count``-th optimiser step from now on the last thing that happens."""
    update, left = loop._update, iter(range(count - 1))

    def dying(*args):
        if next(left, None) is None:
            raise Killed
        update(*args)

    monkeypatch.setattr(loop, "_update", dying)


def test_all_five_train_fuse_and_are_scored(project, monkeypatch):
    project.set("systems.vif", ALL)
    project.call("systems")
    found = {path.relative_to(project.data / "systems/vif").as_posix() for path in project.data.glob(MODELS)}
    wanted = {
        f"{name}/{part}model.safetensors" for name, parts in PARTS.items() for part in ("", *(f"{p}/" for p in parts))
    }
    assert found == wanted and not list((project.data / "systems").rglob("checkpoint*"))
    monkeypatch.chdir(project.folder)
    a, b = torch.rand(2, 1, 1, 21, 34)
    for name in ALL:
        method = load(name, "vif")
        fused = method.fuse(a, b)
        assert (method.name, method.kind) == (name, "learned")
        assert fused.shape == a.shape and 0 <= float(fused.min()) and float(fused.max()) <= 1
    project.call("evaluate")
    summary = json.loads((project.data / "evaluate/vif/summary.json").read_text())
    assert set(summary["methods"]) == {"sigfusion", "mean", "max", *ALL, *REFERENCES}
    assert all((project.data / "evaluate/vif" / name).glob("*.png") for name in ALL)


def test_only_what_changed_is_trained_again(project, steps, capsys):
    two = {name: ALL[name] for name in ("defusion_pp", "sspfusion")}
    project.set("systems.vif", two)
    project.call("systems")
    before = project.written(MODELS)
    steps.clear()
    project.set("systems.vif.defusion_pp.alpha", 0.2)
    project.call("systems")
    after = project.written(MODELS)
    assert len(steps) == 2 * SHORT["steps"]
    anew = {name for name in before if before[name] != after[name]}
    assert anew == {f"systems/vif/defusion_pp/{part}model.safetensors" for part in ("", "views/")}
    assert "data/systems/vif/defusion_pp: made with other parameters" in capsys.readouterr().err


def test_a_system_that_is_no_longer_named_goes(project):
    project.set("systems.vif", {})
    project.call("systems")
    assert project.data.joinpath("systems/vif").is_dir() and not list((project.data / "systems/vif").iterdir())
    project.call("evaluate")
    assert set(json.loads((project.data / "evaluate/vif/summary.json").read_text())["methods"]) == {
        "sigfusion",
        "mean",
        "max",
        *REFERENCES,
    }


def test_nothing_configured_needs_no_inputs(bare):
    bare.set("systems.vif", {})
    bare.call("systems")
    assert (bare.data / "systems/vif").is_dir()


@pytest.mark.parametrize(("name", "count"), [("emma", 3), ("defusion_pp", 6)])
def test_killed_and_started_again_ends_with_the_same_bytes(project, monkeypatch, steps, name, count):
    """Behind a checkpoint, in the first run of the loop or in the second; batch statistics are part of it."""
    project.set("systems.vif", {name: ALL[name]})
    with monkeypatch.context() as patch:
        kill_at(patch, count)
        with pytest.raises(Killed):
            project.call("systems")
    folder = project.data / "systems/vif" / name
    assert len(list(folder.rglob("checkpoint.safetensors"))) == 1 and not (folder / "model.safetensors").exists()
    steps.clear()
    project.call("systems")
    assert steps[0] == 2, "goes on behind the checkpoint"
    resumed = project.files("systems/**/*.*")
    shutil.rmtree(project.data / "systems")
    project.call("systems")
    assert project.files("systems/**/*.*") == resumed


def test_one_that_fails_does_not_stop_the_others(project, capsys):
    hopeless = ALL["defusion"] | {"views": SHORT | {"lr": 1e30}}
    project.set("systems.vif", {"defusion": hopeless, "sspfusion": ALL["sspfusion"]})
    with pytest.raises(UserError, match=r"^system 'defusion': training: loss is .* at step \d; lower 'lr'"):
        project.call("systems")
    folder = project.data / "systems/vif"
    assert (folder / "sspfusion/model.safetensors").exists() and not (folder / "defusion/model.safetensors").exists()


def test_emma_learns_from_the_corpora_as_they_are(project, steps):
    project.set("systems.vif", {"emma": ALL["emma"]})
    project.call("systems")
    steps.clear()
    assert len(read_corpus(project.data / "fuse/vif/mean")) == 8
    project.call("systems")
    assert steps == []
    shutil.rmtree(project.data / "fuse/vif/mean")
    project.call("systems")
    assert len(steps) == 2 * SHORT["steps"]


@pytest.mark.parametrize(
    ("systems", "words"),
    [
        ({"emmma": {}}, "key 'systems': vif.emmma: unknown system 'emmma': did you mean 'emma'"),
        ({"gan": {}}, "key 'systems': vif.gan: unknown system 'gan': choose from .*sspfusion"),
        ({"emma": {"fuson": {}}}, "key 'systems': vif.emma: fuson: unknown key; remove it"),
        ({"emma": {"fusion": {"crop": 40}}}, "vif.emma: fusion.crop: 40 is no multiple of 16; choose one that is"),
        ({"sspfusion": {"structure": {"steps": 0}}}, "vif.sspfusion: structure.steps: .*greater than or equal to 1"),
        (
            {"defusion_pp": {"network": {"form": "paper", "heads": 5}}},
            "vif.defusion_pp: network: width 192 is no multiple of the 5 heads",
        ),
    ],
)
def test_mistakes_in_params(bare, systems, words):
    bare.set("systems.vif", systems)
    with pytest.raises(UserError, match=words) as error:
        load_params(bare.folder / "params.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{}, {"external": "folder", "path": "fused"}])
def test_a_system_cannot_be_fused_with_before_it_is_trained(bare, options):
    bare.set("fuse.vif", {"emma": options})
    with pytest.raises(
        UserError, match="'emma' is trained here: name it under 'systems.vif', or give this method another"
    ):
        load_params(bare.folder / "params.yaml")


def test_weights_that_are_not_there_say_how_to_get_them(bare, monkeypatch):
    monkeypatch.chdir(bare.folder)
    line = (
        "data/systems/mif/emma/model.safetensors: no such model: name it under 'systems.mif' .*'dvc repro systems@mif'"
    )
    with pytest.raises(UserError, match=line):
        load("emma", "mif")


def test_without_corpora_or_training_pairs(project):
    project.set("systems.vif", {"emma": ALL["emma"]})
    shutil.rmtree(project.data / "fuse/vif")
    with pytest.raises(UserError, match=r"data/fuse/vif: holds no fused corpus; run 'dvc repro fuse@vif'"):
        project.call("systems")
