import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sigforge.cli.app import app
from sigforge.core.errors import UserError
from sigforge.core.images import read_image, write_image
from sigforge.methods.loading import load
from sigforge.methods.published.checkpoints import ENVIRONMENT, import_checkpoint, read_checkpoint, weights_file
from sigforge.methods.published.method import list_weights
from sigforge.methods.registry import get_method
from sigforge.methods.weights import save_weights

KNOWN = {weights.name: weights for weights in list_weights()}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache and a working folder."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


class Planted:
    def __reduce__(self):
        return Path.touch, (Path("planted"),)


@pytest.fixture
def retrained():
    """A checkpoint that fits DenseFuse under the published names, but was never published."""
    published = {"stem": "conv1.conv2d", **{f"decoder.{n}": f"conv{n + 2}.conv2d" for n in range(4)}}
    published |= {f"dense.{n}": f"DB1.denseblock.{n}.dense_conv.conv2d" for n in range(3)}
    state = get_method("densefuse").build().state_dict()
    torch.save(
        {f"{published[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": x for name, x in state.items()}, "own.pth"
    )
    return Path("own.pth")


def run(*arguments):
    from typer.testing import CliRunner

    return CliRunner().invoke(app, list(arguments))


# reading


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s}], ids=str
)
def test_tensors_are_found_where_training_code_puts_them(wrap):
    torch.save(wrap({"module.a.weight": torch.ones(2), "b": torch.zeros(1)}), "x.pth")
    assert {name: x.tolist() for name, x in read_checkpoint(Path("x.pth")).items()} == {"a.weight": [1, 1], "b": [0]}


@pytest.mark.parametrize(
    "content", [Planted(), {"model": {"a": torch.ones(1)}, "extra": Planted()}], ids=["bare", "beside"]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_payloads_are_refused_and_never_run(content, zipped):
    torch.save(content, "x.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"x\.pth: holds pickled objects other than tensors.*refused"):
        read_checkpoint(Path("x.pth"))
    assert not Path("planted").exists()


@pytest.mark.filterwarnings("error")  # one line, and nothing of torch's beside it
def test_plain_pickles_and_whole_models_are_refused():
    Path("x.pkl").write_bytes(pickle.dumps(Planted()))
    torch.save(torch.nn.Linear(2, 2), "model.pth")
    for name in ("x.pkl", "model.pth"):
        with pytest.raises(UserError, match="refused"):
            read_checkpoint(Path(name))
    assert not Path("planted").exists()


def test_numpy_numbers_of_a_training_record_are_passed_over():
    torch.save({"model": {"a": torch.ones(1)}, "train_loss": [np.float64(0.5)]}, "x.pth")
    assert list(read_checkpoint(Path("x.pth"))) == ["a"]


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"], ids=str)
def test_what_is_no_checkpoint_is_said_in_one_line(content):
    Path("x.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"^x\.pth: ") as error:
        read_checkpoint(Path("x.pth"))
    assert "\n" not in str(error.value)


def test_other_archives_and_empty_dictionaries_are_refused():
    with zipfile.ZipFile("x.pth", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    torch.save({"epoch": 3}, "empty.pth")
    for name in ("x.pth", "empty.pth"):
        with pytest.raises(UserError, match=name):
            read_checkpoint(Path(name))


# importing


def test_unknown_bytes_are_refused(retrained):
    with pytest.raises(
        UserError, match=r"own\.pth: sha256 is .*, that of densefuse is b34cf3650f04.*download https.*again"
    ):
        import_checkpoint(retrained)
    with pytest.raises(UserError, match=r"that of lrrnet is 1de9dd8dee9b"):
        import_checkpoint(retrained, "lrrnet")
    torch.save({"a": torch.ones(1)}, "other.pth")
    with pytest.raises(UserError, match="not a known checkpoint.*sigforge weights list"):
        import_checkpoint(Path("other.pth"))


def test_files_and_names_that_are_none(retrained):
    with pytest.raises(UserError, match=r"none\.pth: no such file"):
        import_checkpoint(Path("none.pth"))
    with pytest.raises(UserError, match=r"--as dense: no such weights: choose one of .*densefuse"):
        import_checkpoint(retrained, "dense")


def test_the_cache_is_outside_any_repository_unless_told(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert weights_file(KNOWN["gifnet"]) == Path("/somewhere/sigforge/weights/gifnet.safetensors")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert weights_file(KNOWN["gifnet"]) == Path.home() / ".cache/sigforge/weights/gifnet.safetensors"


def test_converted_files_of_another_origin_or_network_are_refused():
    weights, net = KNOWN["densefuse"], get_method("densefuse").build()
    origin = {"weights": "densefuse", "sha256": weights.sha256}
    for kind, module, config, words in (
        ("published", net, origin | {"sha256": "0" * 64}, "another sha256 than the published"),
        ("published", torch.nn.Linear(1, 1), origin, "another version"),
        ("plgn", net, origin, "holds a plgn model"),
    ):
        save_weights(weights_file(weights), module, kind=kind, config=config)
        with pytest.raises(UserError, match=words):
            load("densefuse")
    save_file({"a": torch.ones(1)}, weights_file(weights))
    with pytest.raises(UserError, match="nameless"):
        load("densefuse")
    save_weights(weights_file(weights), net, kind="published", config=origin)
    a, b = torch.rand(2, 1, 1, 20, 31)
    with torch.no_grad():
        assert torch.equal(load("densefuse").fuse(a, b), net.fuse(torch.stack([a, b])))


def test_every_published_file_is_recognised_and_converted_once_for_good(checkpoints, imported, cache):
    assert {path.stem for path in imported.iterdir()} == set(KNOWN)
    weights, target = import_checkpoint(checkpoints / "densefuse/densefuse_gray.model", "densefuse")
    assert weights is KNOWN["densefuse"] and target == cache / "densefuse.safetensors"
    assert target.read_bytes() == (imported / target.name).read_bytes()
    with safe_open(str(target), "pt") as file:
        assert sum(file.get_tensor(name).numel() for name in file.keys()) == 74_193
    with pytest.raises(UserError, match="that of gifnet"):
        import_checkpoint(checkpoints / "densefuse/densefuse_gray.model", "gifnet")


# the command line


def test_weights_are_listed_with_their_terms():
    listed = run("weights", "list").output
    assert all(weights.name in listed and weights.url in listed for weights in KNOWN.values())
    assert "MIT" in listed and "none stated" in listed


def test_mistakes_are_one_line_and_exit_with_2(retrained):
    for arguments in (("weights", "import", "none.pth"), ("weights", "import", "own.pth")):
        result = run(*arguments)
        assert result.exit_code == 2 and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    write_image("a.png", np.eye(16))
    result = run("fuse", "a.png", "a.png", "-o", "f.png", "--task", "vif", "--model", "gifnet")
    assert result.exit_code == 2 and "sigforge weights import Final.model" in result.stderr


def test_import_then_fuse(checkpoints):
    result = run("weights", "import", str(checkpoints / "mufusion/multi-focus_Final.model"))
    assert (
        result.exit_code == 0
        and "mufusion-mfif from AWCXV/MUFusion (licence: MIT); for mufusion on mfif" in result.output
    )
    pixels = np.random.default_rng(0).random((2, 45, 61, 3))
    for name, image in zip("ab", pixels, strict=True):
        Path(name).mkdir()
        write_image(f"{name}/1.png", image, bit_depth=16)
    result = run("fuse", "a", "b", "-o", "out", "--task", "mfif", "--model", "mufusion", "--option", "stretch=false")
    assert result.exit_code == 0, result.output
    fused, info = read_image("out/1.png")
    assert fused.shape == (45, 61, 3) and info.bit_depth == 16
