import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.sigfusion.plgn import KIND, Plgn, load_plgn, subband_mse
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import load_weights, save_weights
from sigforge.training.config import TrainConfig
from sigforge.training.loop import make_optimizer

CONFIG = SigFormerConfig(width=16, heads=2, skip="none")  # lossless from the start


@pytest.fixture
def plgn():
    torch.manual_seed(0)
    return Plgn(SigFormer(CONFIG), ("ir", "vis"))


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    fused = torch.rand(2, 1, 64, 64, generator=generator)
    return fused, (fused * 0.5 + 0.1)


def test_starts_as_the_identity(plgn, images):
    fused, target = images
    torch.testing.assert_close(plgn(fused, "ir"), plgn.sigformer(fused))
    loss = plgn.loss(fused, target, "ir")
    torch.testing.assert_close(loss.signal, loss.identity_signal)
    torch.testing.assert_close(loss.pixel, loss.identity_pixel)


def test_learning_one_modality_beats_the_identity_and_leaves_the_others(plgn, images):
    fused, target = images
    before = {name: value.clone() for name, value in plgn.state_dict().items()}
    optimizer = make_optimizer(plgn, TrainConfig(lr=3e-3))
    for _ in range(40):
        loss = plgn.loss(fused, target, "ir")
        optimizer.zero_grad()
        (loss.signal + loss.pixel).backward()
        optimizer.step()
    with torch.no_grad():
        after = plgn.loss(fused, target, "ir")
    assert float(after.signal) < 0.5 * float(after.identity_signal)
    assert float(after.pixel) < 0.5 * float(after.identity_pixel)
    changed = {name for name, value in plgn.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("modulators.ir.") for name in changed)


def test_every_subband_has_a_modulator_that_acts(plgn, images):
    parts = plgn.sigformer.decompose(images[0])
    with torch.no_grad():
        for parameter in plgn.modulators["ir"].parameters():
            parameter.add_(0.05)
    modulated = plgn.modulate(parts, "ir")
    assert all(not torch.equal(modulated[name], parts[name]) for name in parts.names())


def test_targets_carry_no_gradient(plgn, images):
    fused, target = images
    target = target.requires_grad_()
    loss = plgn.loss(fused, target, "ir")
    loss.signal.backward()
    assert target.grad is None


def test_subband_mse_sums_over_subbands(plgn, images):
    parts = plgn.sigformer.decompose(images[0])
    shifted = parts.map(lambda name, values: values + 2)
    assert float(subband_mse(parts, shifted)) == pytest.approx(4 * len(parts.names()), rel=1e-5)


def test_file_round_trip(plgn, images, tmp_path):
    path = tmp_path / "plgn.safetensors"
    with torch.no_grad():
        for parameter in plgn.modulators.parameters():
            parameter.add_(0.01)
    config = {"sigformer": CONFIG.model_dump(mode="json"), "channels": ["ir", "vis"], "task": "vif"}
    save_weights(path, plgn, kind=KIND, config=config)
    first = path.read_bytes()
    save_weights(path, plgn, kind=KIND, config=config)
    assert path.read_bytes() == first
    torch.testing.assert_close(load_plgn(path)(images[0], "vis"), plgn.eval()(images[0], "vis"))


def test_other_configuration_is_refused_by_name(plgn, tmp_path):
    path = tmp_path / "plgn.safetensors"
    save_weights(path, plgn, kind=KIND, config={"width": 16, "task": "vif"})
    with pytest.raises(UserError, match=r"width \(file 16, asked 32\)"):
        load_weights(path, plgn, kind=KIND, config={"width": 32, "task": "vif"})
    with pytest.raises(UserError, match="holds a plgn model where a fusion model is needed"):
        load_weights(path, plgn, kind="fusion", config={})


def test_broken_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such model file"):
        load_plgn(tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(UserError, match="not a complete safetensors file"):
        load_plgn(broken)


@pytest.mark.parametrize(
    ("sm", "changed"),
    [
        ("all", {"L2", "H1_1", "H1_2", "H2_1", "H2_2"}),
        ("no_high", {"L2"}),
        ("no_low", {"H1_1", "H1_2", "H2_1", "H2_2"}),
        ("none", set()),
    ],
)
def test_ablations_leave_subbands_alone(images, sm, changed, tmp_path):
    torch.manual_seed(0)
    plgn = Plgn(SigFormer(CONFIG), ("ir",), sm)
    with torch.no_grad():
        for parameter in plgn.modulators.parameters():
            parameter.add_(0.05)
    parts = plgn.sigformer.decompose(images[0])
    modulated = plgn.modulate(parts, "ir")
    assert {name for name in parts.names() if not torch.equal(modulated[name], parts[name])} == changed
    config = {"sigformer": CONFIG.model_dump(mode="json"), "channels": ["ir"], "task": "vif", "sm": sm}
    save_weights(tmp_path / "plgn.safetensors", plgn, kind=KIND, config=config)
    torch.testing.assert_close(load_plgn(tmp_path / "plgn.safetensors")(images[0], "ir"), plgn.eval()(images[0], "ir"))


def test_a_modality_that_was_never_trained_is_named(plgn, images):
    with pytest.raises(ValueError, match="channel 'pet' was never trained; this PLGN has ir, vis"):
        plgn(images[0], "pet")


def test_a_new_modality_leaves_the_others_untouched(plgn, images):
    before = plgn.eval()(images[0], "ir")
    plgn.add_channel("thermal")
    torch.testing.assert_close(plgn(images[0], "thermal"), plgn.sigformer(images[0]))
    assert torch.equal(plgn(images[0], "ir"), before)
    with pytest.raises(ValueError, match="channel 'ir' is there already"):
        plgn.add_channel("ir")


def test_another_version_of_the_network_is_one_line(plgn, tmp_path):
    path = tmp_path / "plgn.safetensors"
    old = {**CONFIG.model_dump(mode="json"), "layers": 3}
    for config in (
        {"sigformer": old, "channels": ["ir", "vis"]},
        {"sigformer": CONFIG.model_dump(mode="json"), "channels": ["ir"]},
    ):
        save_weights(path, plgn, kind=KIND, config=config | {"sm": "all"})
        with pytest.raises(UserError, match="another version of the network; train it again"):
            load_plgn(path)
