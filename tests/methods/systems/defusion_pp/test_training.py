import pytest
import torch

from sigforge.core.device import Device
from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of
from sigforge.methods.systems.defusion.views import Masked, cover
from sigforge.methods.systems.defusion_pp.losses import DeFusionPPTraining, defusion_pp_losses, frozen_encoder, sample
from sigforge.methods.systems.defusion_pp.network import DeFusionPP, VitEncoder
from sigforge.methods.systems.defusion_pp.training import ViewsAndPairs
from sigforge.training.config import TrainConfig
from sigforge.training.loop import fit

TINY = {"width": 24, "heads": 3, "depth": 1}


def network():
    torch.manual_seed(0)
    return DeFusionPP(**TINY)


@pytest.fixture
def training():
    net = network()
    return DeFusionPPTraining(net, [frozen_encoder(net), VitEncoder(1, 36, 3, 1)])


def masked(step=0, seed=5):
    generator = torch.Generator().manual_seed(step)
    clean = torch.rand(2, 1, 1, 1, generator=generator) * torch.linspace(0, 1, 48).expand(2, 1, 32, 48)
    masks = torch.stack([cover((32, 48), rng_of(step, k)) for k in range(2)], dim=1)
    noise = torch.randn(2, 2, 1, 32, 48, generator=generator)
    return Masked(clean, masks * clean + (1 - masks) * noise, masks, step, seed)


def pair(seed=1):
    return torch.rand(2, 1, 1, 32, 48, generator=torch.Generator().manual_seed(seed)), torch.tensor([0])


def test_a_few_steps_of_the_one_loop_lower_both_losses_on_fixed_batches(training, tmp_path):
    batches, config = [masked(), pair()] * 8, TrainConfig(steps=16, lr=3e-3, log_every=1)
    before = [teacher.embed.weight.clone() for teacher in training.teachers]
    losses, device = defusion_pp_losses(training), Device(torch.device("cpu"))
    history = fit(training, lambda first: batches, losses, config, folder=tmp_path, device=device)
    for name in ("common", "unique", "fused", "masked", "modality"):
        values = [row.value for row in history if row.name == name]
        assert len(values) == 8 and values[-1] < 0.9 * values[0], name
    assert all(torch.equal(x, teacher.embed.weight) for x, teacher in zip(before, training.teachers, strict=True))


def test_total_loss_weighs_the_masked_features(training):
    with torch.no_grad():
        values = defusion_pp_losses(training, alpha=0.3)(masked())
    terms = values["common"] + values["unique"] + values["fused"] + 0.3 * values["masked"]
    torch.testing.assert_close(values["loss"], terms)


def test_common_features_agree_when_the_sources_do(training):
    (planes, _), losses = pair(), defusion_pp_losses(training)
    with torch.no_grad():
        same = losses((planes[:1].expand(2, -1, -1, -1, -1), None))
        differing = losses((planes, None))
    assert float(same["agreement"]) == 0 < float(differing["agreement"])


def test_modality_compares_each_source_with_its_own_teacher(training):
    with torch.no_grad():
        losses = defusion_pp_losses(training)
        there = losses(pair())["modality"]
        for head in training.heads:
            head.weight.zero_()
            head.bias.zero_()
        planes = pair()[0]
        expected = sum(teacher(plane).abs().mean() for teacher, plane in zip(training.teachers, planes, strict=True))
        torch.testing.assert_close(losses(pair())["modality"], expected)
    assert not torch.isclose(there, expected)


@pytest.mark.parametrize("teachers", [0, 1])
def test_pairs_without_teachers_say_what_is_missing(teachers):
    net = network()
    losses = defusion_pp_losses(DeFusionPPTraining(net, [frozen_encoder(net)] * teachers))
    assert torch.isfinite(losses(masked())["loss"])
    with pytest.raises(UserError, match=rf"teachers: .*there are {teachers}; give 2"):
        losses(pair())


def test_samples_are_different_places_of_each_group_and_repeat_with_the_seed():
    places = sample(3, 50, 0.5, seed=2)
    assert places.shape == (3, 3, 25) and all(len(set(row.tolist())) == 25 for row in places.flatten(0, 1))
    assert torch.equal(places, sample(3, 50, 0.5, seed=2)) and not torch.equal(places, sample(3, 50, 0.5, seed=3))
    assert not torch.equal(places[:, 0].sort().values, places[:, 1].sort().values)
    assert sample(1, 1, 0.5, seed=0).shape == (1, 3, 1)


def test_a_frozen_encoder_does_not_follow_the_network():
    net = network()
    teacher = frozen_encoder(net)
    with torch.no_grad():
        net.encoder.embed.weight.add_(1)
    assert not torch.equal(teacher.embed.weight, net.encoder.embed.weight)
    assert not any(x.requires_grad for x in teacher.parameters()) and all(x.requires_grad for x in net.parameters())


def test_views_and_pairs_alternate():
    data = ViewsAndPairs({step: "views" for step in range(4)}, {step: "pair" for step in range(4)})
    assert [data[step] for step in range(4)] == ["views", "pair", "views", "pair"]
