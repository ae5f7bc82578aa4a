import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sigforge.config import load as config
from sigforge.config.load import check_source_folders, leaves, load_params, overlay, use, validate
from sigforge.core.errors import UserError
from sigforge.losses.fusion import LossReading
from sigforge.methods.sigfusion.sigformer import SigFormerConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture
def raw():
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def set_key(tree, dotted, value):
    *path, last = dotted.split(".")
    for key in path:
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    tree[last] = value


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "conf/presets").glob("*.yaml")))
@pytest.mark.parametrize("name", ["demo", "real", "paper"])
def test_every_preset_fits_every_configuration(raw, name, preset):
    for part in ([] if name == "demo" else [name]) + [f"presets/{preset}"]:
        overlay(raw, yaml.safe_load((ROOT / f"conf/{part}.yaml").read_text()))
    params = validate(raw)
    assert params.fusion.form == {"full": "full", "paper-literal": "tokens"}[preset]
    assert params.loss.supervision("mfif").loss.weights.get("both", 0) == {"full": 4, "paper-literal": 0}[preset]


@pytest.mark.parametrize("name", ["demo", "real", "paper"])
def test_every_configuration_is_valid(raw, name):
    changes = {} if name == "demo" else yaml.safe_load((ROOT / f"conf/{name}.yaml").read_text())
    assert validate(overlay(raw, changes)).seed == 2026


@pytest.mark.parametrize("name", ["real", "paper"])
def test_configurations_hold_only_what_differs(raw, name):
    demo = dict(leaves(raw))
    changes = dict(leaves(yaml.safe_load((ROOT / f"conf/{name}.yaml").read_text())))
    assert changes
    same = [key for key, value in changes.items() if demo.get(key) == value]
    assert [key for key in same if not key.startswith(config.METHOD_TABLES)] == []  # tables are replaced whole


def test_paper_scale_is_the_papers():
    paper = yaml.safe_load((ROOT / "conf/paper.yaml").read_text())
    assert paper["synth"]["pairs"] == 25_000
    assert paper["pretext"]["batch"] == 16 and paper["pretext"]["lr"] == 1e-4
    assert paper["pretext"]["steps"] == 100 * -(-25_000 // 16)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("plgn.stepz", 10, "unknown key 'plgn.stepz'; remove it"),
        ("plgn.steps", "many", "key 'plgn.steps': .*got 'many'"),
        ("plgn.steps", 0, "key 'plgn.steps': .*got 0"),
        ("fuse.vif", {"laplacien": {}}, "key 'fuse'.*laplacien.*laplacian"),
        ("fuse.vif", {"gff": {"radios": 3}}, "key 'fuse'.*radios"),
        ("fuse.vif", {"mertens": {}}, "key 'fuse'.*'mertens' serves mef only"),
        ("evaluate.metrics", ["q_q"], "key 'evaluate.metrics': .*q_q"),
        ("plgn.sm", "high", "key 'plgn.sm': .*'no_high'.*got 'high'; correct"),
        ("pretext.source", "photos", "key 'pretext.source': .*'natural'.*got 'photos'; correct"),
        ("sigformer.signal", "fft", "key 'sigformer.signal': .*'dwt'.*got 'fft'; correct"),
        ("sigformer.backbone", "mlp", "key 'sigformer.backbone': .*'cnn'.*got 'mlp'; correct"),
        ("sigformer.pretrained", "maybe", "key 'sigformer.pretrained': .*got 'maybe'; correct"),
        ("finetune.source", "natural", "unknown key 'finetune.source'; remove it"),
        (
            "ingest.vif.sources",
            [{"kind": "demo", "count": 3, "size": 128, "colour": 1}],
            "unknown key 'ingest.vif.sources.0.colour'",
        ),
        ("ingest.vif.sources", [{"kind": "folder"}], "ingest.vif.sources.0.: .*did you mean .folders."),
    ],
)
def test_mistakes_are_named_in_one_line(raw, key, value, words):
    set_key(raw, key, value)
    with pytest.raises(UserError, match=words) as caught:
        validate(raw)
    assert str(caught.value).startswith("params.yaml: ") and "\n" not in str(caught.value)


def test_architecture_is_the_section_without_what_is_no_architecture(raw):
    set_key(raw, "sigformer.pretrained", False)
    set_key(raw, "sigformer.signal", "dwt")
    section = validate(raw).sigformer
    assert not section.pretrained and section.architecture.signal == "dwt"
    assert type(section.architecture) is SigFormerConfig
    assert section.model_dump().keys() - section.architecture.model_dump().keys() == {"pretrained"}


def test_missing_key_is_named(raw):
    del raw["synth"]
    with pytest.raises(UserError, match="key 'synth' is missing; add it"):
        validate(raw)


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", ""])
def test_unreadable_files_are_one_line(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="params.yaml: (not valid YAML|holds no mapping)"):
        load_params(path)
    with pytest.raises(UserError, match="no such file"):
        load_params(tmp_path / "none.yaml")


def test_missing_folder_names_the_key(raw):
    source = {"kind": "folders", "name": "mine", "subtask": "vif", "a": "/nowhere/ir", "b": "/nowhere/vis"}
    set_key(raw, "ingest.vif.sources", [source])
    with pytest.raises(UserError, match=r"ingest\.vif\.sources\.0\.a.*no folder /nowhere/ir; correct"):
        check_source_folders(validate(raw))


def test_overlay_refuses_unknown_keys(raw):
    with pytest.raises(UserError, match="conf: key 'synth.sise' is not in params.yaml"):
        overlay(raw, {"synth": {"sise": 3}})


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/presets").mkdir(parents=True)
    shutil.copy(ROOT / "conf/presets/paper-literal.yaml", tmp_path / "conf/presets")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "conf/real.yaml").write_text("synth:\n  size: 256\n")
    for command in ("init -q", "add .", "-c user.name=t -c user.email=t@t commit -qm x"):
        subprocess.run(["git", *command.split()], check=True)
    return tmp_path / "params.yaml"


def test_switching_back_and_forth(project):
    demo = project.read_text()
    use("real")
    assert load_params(project).synth.size == 256
    assert "# the demo scale" in project.read_text().lower(), "comments survive"
    use("demo")
    assert project.read_text() == demo


def test_a_preset_is_laid_over_a_configuration(project):
    use("real+presets/paper-literal")
    params = load_params(project)
    assert params.synth.size == 256 and params.fusion.form == "tokens" and params.fusion.head == "none"
    loss = params.loss.supervision("mfif").loss
    assert loss.weights == {"ssim": 1.0, "max": 10.0, "grad": 10.0}
    assert loss.reading == LossReading(gradient="unsigned", intensity="max", mse="sources")
    use("demo")
    with pytest.raises(UserError, match="conf/presets/papr.yaml: no such configuration"):
        use("real+presets/papr")


def test_own_edits_are_not_lost(project):
    project.write_text(project.read_text().replace("steps: 150", "steps: 151"))
    with pytest.raises(UserError, match="edits of your own; commit them first, or pass --force"):
        use("real")
    use("real", force=True)
    assert load_params(project).pretrain.steps == 150


def test_unknown_configuration_lists_the_others(project):
    with pytest.raises(UserError, match="conf/reel.yaml: no such configuration; choose one of demo, real"):
        use("reel")


def test_command_line_gives_one_line_and_exit_code_2(project):
    project.write_text(project.read_text().replace("plgn:", "plgm:"))
    done = subprocess.run([sys.executable, "-m", "sigforge.config", "check"], capture_output=True, text=True, env=None)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: params.yaml: ")
    assert config.main(["check"]) == 2
