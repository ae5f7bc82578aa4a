import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sigforge.cli import app as cli
from sigforge.core.colour import is_grey
from sigforge.core.errors import UserError
from sigforge.core.images import read_image, to_uint8, write_image
from sigforge.dataset.tables import Photo, read_quarantine
from sigforge.dataset.tasks import TASKS, Task
from sigforge.methods.apply import fuse_arrays
from sigforge.methods.loading import load
from sigforge.methods.registry import get_method, list_methods
from sigforge.methods.sigfusion.fusion import KIND as FUSION
from sigforge.methods.sigfusion.fusion import FusionNet
from sigforge.methods.sigfusion.plgn import KIND as PLGN
from sigforge.methods.sigfusion.plgn import Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import model_fingerprint, save_weights
from sigforge.synthesis.channels import task_channels
from sigforge.synthesis.plan import plan
from sigforge.synthesis.run import make_shard
from sigforge.synthesis.samples import SynthesisRecipe

ROOT = Path(__file__).parents[2]
COMMANDS = ("methods", "fuse", "score", "synth", "realism", "publish", "verify", "doctor")
CONFIG = SigFormerConfig(width=8, heads=2, signals=4)
STEMS = ("day", "night", "noon")


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def assert_mistake(result, *words):
    """Exit code 2 and one 'error:' line with these words; a traceback would show as another exception."""
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and result.stderr.splitlines()[-1] == errors[0]
    assert all(word in errors[0] for word in words), errors[0]


def picture(seed, *shape):
    noise = np.random.default_rng(seed).random(shape, np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2) * 3 % 1


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """Three pairs of odd sizes, grey and coloured, in ``ir`` and ``vis`` of the working folder."""
    monkeypatch.chdir(tmp_path)
    for n, stem in enumerate(STEMS):
        size = (49 + 2 * n, 63 - 4 * n)
        write_image(Path(f"ir/{stem}.png"), picture(n, *size))
        write_image(Path(f"vis/{stem}.png"), picture(10 + n, *size, 3))
    return tmp_path


def save_fusion(path):
    torch.manual_seed(1)
    net = FusionNet(SigFormer(CONFIG)).eval()
    save_weights(path, net, kind=FUSION, config={"task": "vif", "sigformer": CONFIG.model_dump(mode="json")})
    return net


@pytest.fixture(scope="module")
def plgn(tmp_path_factory):
    torch.manual_seed(2)
    channels = tuple(channel.name for channel in task_channels("vif"))
    path = tmp_path_factory.mktemp("plgn") / "model.safetensors"
    architecture = {"sigformer": CONFIG.model_dump(mode="json"), "channels": channels}
    save_weights(path, Plgn(SigFormer(CONFIG), channels), kind=PLGN, config=architecture)
    return path


# The command line itself


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_in_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: sigforge {command}" in result.output


def test_every_command_is_listed():
    assert {command.name or command.callback.__name__ for command in cli.app.registered_commands} == set(COMMANDS)
    assert all(f" {command} " in run().output for command in COMMANDS)
    assert run("--version").output.startswith("sigforge ")


def test_tasks_are_those_of_the_manifest():
    assert get_args(Task) == TASKS


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'cv2', 'pyarrow', 'mlflow', 'prefect'} & set(sys.modules)"
    start = "import sys; from sigforge.cli import app as cli; sys.argv = ['', '--help']"
    code = f"{start}\ntry: cli.main()\nfinally: print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0 and "Usage: sigforge" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_script_reports_a_broken_image_in_one_line(pairs):
    Path("ir/day.png").write_bytes(Path("ir/day.png").read_bytes()[:100])
    script = [Path(sys.executable).with_name("sigforge"), "fuse", "ir/day.png", "vis/day.png"]
    done = subprocess.run([*script, "-o", "f.png", "--task", "vif", "--model", "mean"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ir/day.png: is cut short")
    assert "Traceback" not in done.stderr and not Path("f.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fusee",), ("fusee", "sigforge --help")),
        (("fuse", "a", "b", "-o", "c"), ("--task", "vif, mif, mfif, mef. See 'sigforge fuse --help'.")),
        (("fuse", "a", "b", "-o", "c", "--task", "xif"), ("xif", "mfif")),
        (("synth", "--task", "vif", "--images", "a", "--out", "b", "--size", "x"), ("--size",)),
    ],
)
def test_wrong_arguments_are_one_line(arguments, words):
    assert_mistake(run(*arguments), *words)


# methods, and the same by Python


def test_methods_lists_what_a_task_can_use():
    everything, mef = run("methods").output, run("methods", "--task", "mef").output
    assert all(f" {name} " in everything for name in list_methods())
    assert "mertens" in mef and " max " not in mef
    assert "eps1=0.3" in everything and "learned" in everything and "TIP 2013" in everything


def test_every_classical_method_loads_and_fuses():
    a, b = torch.rand(2, 2, 1, 33, 40)
    for name in list_methods(kind="classical"):
        fused = load(name).fuse(a, b)
        assert fused.shape == a.shape and 0 <= fused.min() and fused.max() <= 1


def test_sigfusion_loads_by_task_or_by_file(pairs):
    a, b = torch.rand(2, 1, 1, 33, 40)
    with pytest.raises(UserError, match="dvc repro finetune@mif"):
        load("sigfusion", "mif")
    expected = save_fusion(Path("data/finetune/vif/model.safetensors")).fuse(a, b)
    by_file = load("data/finetune/vif/model.safetensors")
    assert by_file.kind == "learned"
    for method in (load("sigfusion", "vif"), load("sigfusion"), by_file):
        assert torch.equal(method.fuse(a, b), expected)


def test_names_and_files_that_are_none(pairs):
    with pytest.raises(UserError, match="'sigfuson': did you mean 'sigfusion'"):
        load("sigfuson")
    with pytest.raises(UserError, match="'?': choose from .*, dwt, .*, gff, .*, sigfusion"):
        load("?")
    with pytest.raises(UserError, match="trained weights"):
        get_method("sigfusion").fuse(*torch.rand(2, 1, 1, 8, 8))
    with pytest.raises(UserError, match="no such model file"):
        load("nothing.safetensors")
    torch_net = torch.nn.Linear(2, 2)
    save_weights(Path("old.safetensors"), torch_net, kind=FUSION, config={"sigformer": CONFIG.model_dump(mode="json")})
    with pytest.raises(UserError, match="another version of the network"):
        load("old.safetensors")


# fuse


def test_folders_are_fused_in_colour_at_any_size(pairs):
    result = run("fuse", "ir", "vis", "-o", "out", "--task", "vif", "--model", "laplacian", "--option", "levels=2")
    assert result.exit_code == 0 and "3 of 3 pairs" in result.stdout and "ETA" not in result.stdout
    for stem in STEMS:
        a, b, fused = (read_image(f"{folder}/{stem}.png")[0] for folder in ("ir", "vis", "out"))
        method = get_method("laplacian")
        expected = fuse_arrays(partial(method.fuse, levels=2), a, b, "vif")
        assert not is_grey(fused)
        assert np.array_equal(to_uint8(fused), to_uint8(expected))
    assert not np.array_equal(to_uint8(expected), to_uint8(fuse_arrays(method.fuse, a, b, "vif")))


def test_sixteen_bits_stay_sixteen(pairs):
    deep = picture(5, 40, 50)
    write_image("deep.png", deep, bit_depth=16)
    write_image("flat.png", picture(6, 40, 50))
    assert run("fuse", "deep.png", "flat.png", "-o", "out", "--task", "mfif", "--model", "mean").exit_code == 0
    fused, info = read_image("out/deep.png")
    assert info.bit_depth == 16 and len(np.unique(fused)) > 256
    sources = [read_image(name)[0] for name in ("deep.png", "flat.png")]
    assert np.abs(fused - np.mean(sources, axis=0)).max() <= 1 / 65535


def test_a_bad_pair_is_named_and_the_rest_goes_on(pairs):
    Path("ir/day.png").write_text("no image")
    write_image("vis/noon.png", picture(0, 20, 20, 3))
    write_image("vis/dusk.png", picture(0, 20, 20, 3))
    result = run("fuse", "ir", "vis", "-o", "out", "--task", "vif", "--model", "mean")
    assert result.exit_code == 1 and "1 of 3 pairs" in result.stdout
    assert [path.name for path in Path("out").iterdir()] == ["night.png"]
    told = [line for line in result.stderr.splitlines() if line.startswith("left out: ")]
    assert len(told) == 3
    assert "vis/dusk.png: no_partner" in told[0]
    assert "ir/day.png: not_an_image" in told[1]
    assert "vis/noon.png: different_size: is 20x20, but ir/noon.png is 55x53" in told[2]


def test_a_file_without_partner_is_not_passed_over_in_silence(pairs):
    Path("vis/noon.png").unlink()
    result = run("fuse", "ir", "vis", "-o", "out", "--task", "vif", "--model", "mean")
    assert result.exit_code == 1 and "2 of 2 pairs" in result.stdout
    assert "left out: ir/noon.png: no_partner" in result.stderr


def test_sigfusion_is_the_default_and_tells_where_it_comes_from(pairs):
    file = Path("data/finetune/vif/model.safetensors")
    default = ("fuse", "ir", "vis", "--task", "vif")
    assert_mistake(run(*default, "-o", "out"), str(file), "dvc repro finetune@vif")
    net = save_fusion(file)
    assert run(*default, "-o", "out").exit_code == run(*default, "-o", "same", "--model", file).exit_code == 0
    a, b = (read_image(f"{folder}/day.png")[0] for folder in ("ir", "vis"))
    assert np.array_equal(to_uint8(read_image("out/day.png")[0]), to_uint8(fuse_arrays(net.fuse, a, b, "vif")))
    assert Path("out/day.png").read_bytes() == Path("same/day.png").read_bytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("--model", "gfff"), ("gfff", "gff")),
        (("--model", "mertens"), ("mertens", "mef", "choose one of")),
        (("--model", "gff", "--option", "radius=3"), ("radius", "known options")),
        (("--model", "gff", "--option", "r1=wide"), ("r1=wide", "int")),
        (("--model", "gff", "--option", "r1=-4"), ("r1=-4",)),
        (("--model", "gff", "--option", "r1"), ("r1=VALUE",)),
    ],
)
def test_wrong_method_or_option(pairs, changes, words):
    assert_mistake(run("fuse", "ir", "vis", "-o", "out", "--task", "vif", *changes), *words)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("a", "b", "out", "words"),
    [
        ("nothing", "vis", "out", ("nothing: no such file or folder",)),
        ("ir", "vis/day.png", "out", ("a file and a folder do not pair",)),
        ("ir/day.png", "vis/day.png", "out.jpg", ("out.jpg", ".png")),
        ("ir/day.png", "vis/day.png", "ir/../vis/day.png", ("is a source",)),
        ("ir/day.png", "vis/day.png", "ir", ("is a source",)),
        ("ir", "vis", "vis", ("is a source",)),
    ],
)
def test_wrong_paths_touch_no_source(pairs, a, b, out, words):
    before = {path: path.read_bytes() for path in pairs.rglob("*.png")}
    assert_mistake(run("fuse", a, b, "-o", out, "--task", "vif", "--model", "mean"), *words)
    assert {path: path.read_bytes() for path in pairs.rglob("*.png")} == before


# synth and verify


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for n in range(5):
        write_image(f"photos/{n}.png", picture(20 + n, 70 + n, 90, 3))
    Path("photos/bad.png").write_bytes(b"")
    write_image("photos/small.png", picture(0, 65, 65))
    return tmp_path


def synth(*more, size=66):
    return run("synth", "--task", "vif", "--images", "photos", "--out", "out", "--shard-size", 2, "--size", size, *more)


def test_shards_resume_to_the_same_bytes_and_verify(photos, plgn):
    result = synth("--model", plgn, "--licence", "CC0")
    assert result.exit_code == 0 and "5 pairs in 3 shards" in result.stdout
    assert "left out: photos/bad.png: empty" in result.stderr and "1 photographs" in result.stdout
    assert [item.reason for item in read_quarantine("out/quarantine.parquet")] == ["empty"]
    assert run("verify", "out").stdout == "out: 3 shards, every byte and count as promised\n"
    tars = {path: path.read_bytes() for path in sorted(Path("out").glob("*.tar"))}
    assert b'"licence":"CC0"' in b"".join(tars.values())
    kept = Path("out/vif-train-000000.tar").stat().st_mtime_ns
    Path("out/vif-train-000001.json").unlink()
    Path("out/vif-train-000001.tar").unlink()
    assert synth("--model", plgn, "--licence", "CC0").exit_code == 0
    assert {path: path.read_bytes() for path in sorted(Path("out").glob("*.tar"))} == tars
    assert Path("out/vif-train-000000.tar").stat().st_mtime_ns == kept


def test_shards_made_otherwise_are_left_alone(photos, plgn):
    assert synth("--model", plgn).exit_code == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    assert_mistake(synth("--model", plgn, size=64), "out/vif-train-000000.tar", "--out")
    assert_mistake(synth("--model", plgn, "--seed", 1), "out/vif-train-000000.tar")
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


def test_more_squares_of_each_photograph_up_to_a_bound(photos, plgn):
    """Five photographs that are large enough, and one that is not."""
    few = synth("--model", plgn, "--crops", 2, "--pairs", 8)
    assert few.exit_code == 0 and "8 pairs in 5 shards" in few.stdout and "  too_small  " in few.stdout
    kept = Path("out/vif-train-000000.tar").stat().st_mtime_ns
    assert_mistake(synth("--model", plgn), "out/vif-train-000003.tar", "--crops", "--out")
    assert "10 pairs in 6 shards" in synth("--model", plgn, "--crops", 2).stdout
    assert Path("out/vif-train-000000.tar").stat().st_mtime_ns == kept
    assert run("verify", "out").stdout == "out: 6 shards, every byte and count as promised\n"


def test_mistakes_of_synth(photos, plgn):
    assert_mistake(synth(), "data/plgn/vif/model.safetensors", "dvc repro plgn@vif", "--model")
    mef = run("synth", "--task", "mef", "--images", "photos", "--out", "out", "--model", plgn)
    assert_mistake(mef, str(plgn), "ir, vis, not for mef")
    nowhere = run("synth", "--task", "vif", "--images", "no", "--out", "out", "--model", plgn)
    assert_mistake(nowhere, "no: no such folder")
    assert_mistake(synth("--model", plgn, size=512), "--size")
    save_fusion(Path("fusion.safetensors"))
    assert_mistake(synth("--model", "fusion.safetensors"), "fusion.safetensors", "plgn")


def test_a_shard_is_a_function_of_its_recipe(photos, plgn):
    terms = ("s", "CC0", "", "", False, False)
    some = [Photo(str(n), f"photos/{n}.png", str(n), "0", 70 + n, 90, 3, *terms) for n in range(3)]
    assert [(shard.index, shard.first, len(shard.photos)) for shard in plan(some, 2)] == [(0, 0, 2), (1, 2, 1)]
    recipe = SynthesisRecipe("vif", 7, 64, "png", True, plgn, model_fingerprint(plgn), "cpu")
    first, again = (make_shard(plan(some, 2)[1], recipe=recipe, folder=Path(f), key={}) for f in ("x", "y"))
    assert first.sha256 == again.sha256 and first.samples == 1
    assert [path.name for path in sorted(Path("x").glob("*.tar"))] == ["vif-train-000001.tar"]


def test_verify_names_what_is_damaged(photos, plgn):
    synth("--model", plgn)
    with Path("out/vif-train-000001.tar").open("r+b") as file:
        file.seek(700)
        file.write(b"\xff")
    Path("out/vif-train-000002.parquet").unlink()
    result = run("verify", "out")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2 and "000001.tar: sha256" in result.stdout
    assert "000002.parquet: missing" in result.stdout
    assert run("verify", "photos").exit_code == 1
    assert_mistake(run("verify", "nothing"), "nothing: no such folder")
