import pytest
import torch

from sigforge.core.device import Device
from sigforge.methods.sigfusion.fusion import FusionNet
from sigforge.methods.sigfusion.plgn import Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.sigfusion.training import fusion_losses
from sigforge.training.config import TrainConfig
from sigforge.training.loop import make_optimizer

CONFIG = SigFormerConfig(width=16, heads=2, skip="none")  # lossless from the start
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.fixture
def sources():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 1, 64, 64, generator=generator)


@pytest.mark.parametrize("task", ["vif", "mef"])
def test_a_few_steps_lower_the_loss(task, sources):
    torch.manual_seed(0)
    net = FusionNet(SigFormer(CONFIG))
    losses, optimizer = fusion_losses(net, task, "max"), make_optimizer(net, TrainConfig(lr=2e-3))
    first = float(losses((sources, None))["loss"].detach())
    for _ in range(15):
        optimizer.zero_grad()
        loss = losses((sources, None))["loss"]
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.9 * first


def test_exposure_target_is_for_mef_only(sources):
    net = FusionNet(SigFormer(CONFIG))
    with torch.no_grad():
        plain, exposed = (
            fusion_losses(net, "mef", target)((sources, None))["max"] for target in ("max", "well_exposed")
        )
        vif = fusion_losses(net, "vif", "well_exposed")((sources, None))["max"]
    assert not torch.isclose(plain, exposed) and torch.isclose(vif, plain)


@pytest.mark.parametrize("kind", DEVICES)
def test_bfloat16_gives_the_losses_of_float32(kind, sources):
    torch.manual_seed(0)
    net = FusionNet(SigFormer(CONFIG)).to(kind)
    plgn = Plgn(SigFormer(CONFIG), ("ir",)).to(kind)
    losses = fusion_losses(net, "vif", "max")
    values = {}
    for bf16 in (False, True):
        with Device(torch.device(kind), bf16).autocast():
            terms = losses((sources, None))
            modulated = plgn.loss(*sources.to(kind), "ir")
        (terms["loss"] + modulated.pixel + modulated.signal).backward()
        values[bf16] = [float(x.detach()) for x in (*terms.values(), modulated.signal, modulated.pixel)]
    assert values[True] == pytest.approx(values[False], rel=0.02)
