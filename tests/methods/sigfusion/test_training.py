import pytest
import torch

from sigforge.core.device import Device
from sigforge.losses.fusion import FusionLoss, LossReading, task_weights
from sigforge.methods.sigfusion.full.network import FullConfig
from sigforge.methods.sigfusion.fusion import FusionConfig, FusionNet, build_fusion
from sigforge.methods.sigfusion.head import Fused, SelectHead
from sigforge.methods.sigfusion.plgn import Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.sigfusion.training import Supervision, explained_losses, fusion_losses
from sigforge.training.config import TrainConfig
from sigforge.training.loop import make_optimizer

CONFIG = SigFormerConfig(width=16, heads=2, skip="none")  # lossless from the start
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


def told(task, **reading):
    return Supervision(FusionLoss(LossReading(**reading), task_weights(task)))


@pytest.fixture
def sources():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 1, 64, 64, generator=generator)


@pytest.mark.parametrize("task", ["vif", "mef"])
def test_a_few_steps_lower_the_loss(task, sources):
    torch.manual_seed(0)
    net = FusionNet(SigFormer(CONFIG))
    losses, optimizer = fusion_losses(net, told(task)), make_optimizer(net, TrainConfig(lr=2e-3))
    first = float(losses((sources, None))["loss"].detach())
    for _ in range(15):
        optimizer.zero_grad()
        loss = losses((sources, None))["loss"]
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.9 * first


def test_the_intensity_target_is_any_tasks(sources):
    net = FusionNet(SigFormer(CONFIG))  # starts as the mean
    with torch.no_grad():
        mean, brightest, exposed = (
            float(fusion_losses(net, told("vif", intensity=target))((sources, None))["max"])
            for target in ("mean", "max", "well_exposed")
        )
    assert mean == pytest.approx(0, abs=1e-5) and brightest > exposed > 0.05


def test_a_head_learns_and_the_decoded_plane_is_judged_too(sources):
    torch.manual_seed(0)
    net = build_fusion(FusionConfig(form="full", head="select", full=FullConfig(width=8, heads=2, signals=2)))
    losses, optimizer = fusion_losses(net, told("vif", gradient="signed")), make_optimizer(net, TrainConfig(lr=1e-2))
    values = []
    for _ in range(12):
        optimizer.zero_grad()
        terms = losses((sources, None))
        terms["loss"].backward()
        optimizer.step()
        values.append({name: float(value.detach()) for name, value in terms.items()})
    assert values[-1]["loss"] < 0.95 * values[0]["loss"] and values[-1]["decoded"] < values[0]["decoded"]
    assert values[0]["shortfall"] == 0


def test_collapse_onto_one_source_costs(sources):
    weights = torch.stack([torch.full_like(sources[0], 0.97), torch.full_like(sources[0], 0.03)])
    head = torch.nn.Linear(1, 1)
    head.forward = lambda planes: Fused(planes[0], None, weights)
    terms = explained_losses(head, Supervision(FusionLoss(weights={"max": 1.0})))((sources, None))
    assert float(terms["shortfall"]) == pytest.approx(0.7, rel=1e-4)
    assert float(terms["loss"]) == pytest.approx(float(terms["max"]) + 10 * 0.7, rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_the_guard_keeps_a_head_from_a_source_that_the_loss_prefers_everywhere(sources, share):
    torch.manual_seed(0)
    head, bright = SelectHead(), torch.stack([sources[0] / 3, 0.6 + sources[1] / 3])[:, :1, :, :32, :32]
    losses = explained_losses(head, Supervision(FusionLoss(weights={"max": 10.0}), share=share))
    optimizer = torch.optim.Adam(head.parameters(), lr=2e-2)
    for _ in range(60):
        optimizer.zero_grad()
        losses((bright, None))["loss"].backward()
        optimizer.step()
    taken = float(head(bright).weights.detach()[0].mean())
    assert taken < 0.03 if share == 0 else taken > 0.08


def test_the_photograph_can_be_the_label(sources):
    net = FusionNet(SigFormer(CONFIG))
    labelled = torch.cat([sources, sources.mean(0, keepdim=True)])
    terms = fusion_losses(net, Supervision(photograph=True))((labelled, None))
    assert all(float(value.detach()) == pytest.approx(0, abs=1e-3) for value in terms.values())


@pytest.mark.parametrize("kind", DEVICES)
def test_bfloat16_gives_the_losses_of_float32(kind, sources):
    torch.manual_seed(0)
    net = FusionNet(SigFormer(CONFIG)).to(kind)
    plgn = Plgn(SigFormer(CONFIG), ("ir",)).to(kind)
    losses = fusion_losses(net, told("vif"))
    values = {}
    for bf16 in (False, True):
        with Device(torch.device(kind), bf16).autocast():
            terms = losses((sources, None))
            modulated = plgn.loss(*sources.to(kind), "ir")
        (terms["loss"] + modulated.pixel + modulated.signal).backward()
        values[bf16] = [float(x.detach()) for x in (*terms.values(), modulated.signal, modulated.pixel)]
    assert values[True] == pytest.approx(values[False], rel=0.02)
