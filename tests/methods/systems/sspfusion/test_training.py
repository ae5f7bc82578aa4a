import copy

import pytest
import torch

from sigforge.core.device import Device
from sigforge.methods.systems.sspfusion.losses import charbonnier, structure_loss, structure_target
from sigforge.methods.systems.sspfusion.network import Extractor, SspConfig, SSPFusion
from sigforge.methods.systems.sspfusion.training import extractor_losses, sspfusion_losses
from sigforge.training.config import TrainConfig
from sigforge.training.loop import fit

CPU = Device(torch.device("cpu"))
SMALL = SspConfig(widths=(4, 8, 8), blocks=1)


def smooth(count, seed=0):
    coarse = torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=32, mode="bicubic").clamp(0, 1)


@pytest.fixture
def batch():
    return torch.stack([smooth(2), smooth(2, seed=1)]), None


@pytest.fixture
def models():
    torch.manual_seed(0)
    return Extractor(SMALL), SSPFusion(SMALL)


def losses_of(model, losses, batch, folder, steps=16):
    config = TrainConfig(steps=steps, lr=5e-3, log_every=1)
    rows = fit(model, lambda first: [batch] * steps, losses, config, folder=folder, device=CPU)
    return {name: [row.value for row in rows if row.name == name] for name in {row.name for row in rows}}


def test_both_stages_lower_their_losses_and_the_extractor_stays(models, batch, tmp_path):
    extractor, net = models
    first = losses_of(extractor, extractor_losses(extractor), batch, tmp_path)
    assert set(first) == {"loss", "structure", "rebuilding"}
    assert first["loss"][-1] < 0.9 * first["loss"][0] and first["structure"][-1] < first["structure"][0]
    before = copy.deepcopy(extractor.state_dict())
    second = losses_of(net.start_from(extractor), sspfusion_losses(net, extractor), batch, tmp_path)
    assert set(second) == {"loss", "structure", "rebuilding", "ssim", "smooth", "grad"}
    assert second["loss"][-1] < 0.95 * second["loss"][0]
    assert second["smooth"][-1] < second["smooth"][0]
    assert all(torch.equal(value, before[name]) for name, value in extractor.state_dict().items())


def test_the_first_stages_loss_by_hand(models, batch):
    extractor, _ = models
    values, images = extractor_losses(extractor, alpha=2, beta=3)(batch), batch[0].flatten(0, 1)
    found = extractor(images)
    structure = structure_loss(found.maps, [structure_target(level) for level in found.features])
    rebuilding = charbonnier(found.whole, structure_target(images))
    torch.testing.assert_close(values["loss"], 2 * structure + 3 * rebuilding)


def test_ground_truth_comes_from_the_frozen_extractor(models, batch):
    extractor, net = models
    losses = sspfusion_losses(net, extractor)
    before = losses(batch)
    with torch.no_grad():
        extractor.encoder[0][0].weight.neg_()
    after = losses(batch)
    assert float(before["structure"].detach()) != float(after["structure"].detach())
    assert all(torch.equal(before[name], after[name]) for name in ("rebuilding", "ssim", "smooth", "grad"))


def test_total_is_equation_9(models, batch):
    extractor, net = models
    values = sspfusion_losses(net, extractor, alpha=0.5, beta=2)(batch)
    fusion = values["ssim"] + values["smooth"] + values["grad"]
    torch.testing.assert_close(values["loss"], 0.5 * values["structure"] + 2 * values["rebuilding"] + fusion)


def test_every_part_of_the_fusion_network_learns(models, batch):
    extractor, net = models
    sspfusion_losses(net, extractor)(batch)["loss"].backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    assert all(parameter.grad is None for parameter in extractor.parameters())
