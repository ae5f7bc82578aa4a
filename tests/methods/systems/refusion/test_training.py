import numpy as np
import pytest
import torch
from torch import nn

from sigforge.core.device import Device
from sigforge.core.errors import UserError
from sigforge.methods.systems.refusion.losses import LossWeights, fusion_loss, gradients, reconstruction_loss
from sigforge.methods.systems.refusion.network import KIND, LossProposal, Reconstruction, ReFusionSystem, load_refusion
from sigforge.methods.systems.refusion.training import Episode, Episodes, outer_loss, refusion_losses
from sigforge.methods.weights import save_weights
from sigforge.training.config import TrainConfig
from sigforge.training.loop import fit

ALPHAS = {"alpha1": 1.0, "alpha2": 1.0}


def sources(seed, size=(12, 12), dtype=torch.float32):
    return torch.rand(2, 1, 1, *size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Toy(nn.Module):
    """The three modules with so few parameters that each can be moved by itself, in float64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fusion, self.proposal, self.reconstruction = ToyFusion(), ToyProposal(), ToyReconstruction()
        self.double()


class ToyFusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 1, 1))

    def forward(self, planes):
        return self.layers(torch.cat([*planes], dim=1))


class ToyProposal(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Conv2d(2, 4, 1)

    def forward(self, planes):
        scores = self.score(torch.cat([*planes], dim=1)).unflatten(1, (2, 2)).movedim(1, 0).movedim(2, 1)[:, :, :, None]
        return LossWeights(*scores.softmax(1))


class ToyReconstruction(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, fused):
        return self.layer(fused).movedim(1, 0)[:, :, None]


def toy_outer(system, *, inner_lr=0.5):
    train, test = (sources(seed, (6, 7), torch.float64) for seed in (1, 2))
    return outer_loss(system, train, test, inner_lr=inner_lr, **ALPHAS)


def test_outer_gradient_is_that_of_finite_differences():
    system, eps = Toy(), 1e-5
    toy_outer(system).backward()
    for parameter in system.proposal.parameters():
        numeric = torch.zeros_like(parameter)
        for place in range(parameter.numel()):
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.view(-1)[place] += sign * eps
                    values.append(toy_outer(system))
                    parameter.view(-1)[place] -= sign * eps
            numeric.view(-1)[place] = (values[0] - values[1]) / (2 * eps)
        assert numeric.abs().max() > 1e-4
        torch.testing.assert_close(parameter.grad, numeric, rtol=1e-5, atol=1e-9)


def test_outer_loss_of_the_real_networks_falls_along_its_gradient():
    torch.manual_seed(0)
    system, step = ReFusionSystem().double(), 1e-4
    train, test = (sources(seed, dtype=torch.float64) for seed in (1, 2))

    def outer():
        return outer_loss(system, train, test, inner_lr=1.0, **ALPHAS)

    first = outer()
    first.backward()
    squared = sum(float((p.grad**2).sum()) for p in system.proposal.parameters())
    with torch.no_grad():
        for parameter in system.proposal.parameters():
            parameter -= step / squared**0.5 * parameter.grad
        change = float(outer() - first)
    assert change == pytest.approx(-step * squared**0.5, rel=0.02)


def test_without_an_inner_step_the_proposal_learns_nothing():
    system = Toy()
    toy_outer(system, inner_lr=0.0).backward()
    assert all((parameter.grad == 0).all() for parameter in system.proposal.parameters())


def test_each_kind_of_step_moves_its_own_modules_only():
    system = Toy()
    losses, planes = refusion_losses(system), sources(1, dtype=torch.float64)
    losses(Episode(planes, planes))["loss"].backward()
    assert moved(system) == {"proposal"}
    system.zero_grad()
    losses(Episode(planes, None))["loss"].backward()
    assert moved(system) == {"fusion", "reconstruction"}


def moved(system):
    return {name.split(".")[0] for name, p in system.named_parameters() if p.grad is not None and p.grad.any()}


def test_the_fusion_network_never_sees_the_reconstruction_loss():
    system, planes = Toy(), sources(1, dtype=torch.float64)
    values = refusion_losses(system)(Episode(planes, None))
    weights = list(system.fusion.parameters())
    whole = torch.autograd.grad(values["loss"], weights, retain_graph=True)
    alone = torch.autograd.grad(values["fusion"], weights)
    assert all(torch.equal(x, y) for x, y in zip(whole, alone, strict=True))


def test_fusion_loss_by_hand():
    a, b, fused = (torch.full((1, 1, 4, 4), value) for value in (0.2, 0.8, 0.5))
    planes = torch.stack([a, b])
    weights = torch.stack([torch.full_like(a, 0.25), torch.full_like(a, 0.75)])
    assert float(fusion_loss(fused, planes, LossWeights(weights, weights))) == pytest.approx(0.09)
    ramp = torch.arange(4.0).expand(1, 1, 4, 4) / 8
    edges = torch.stack([ramp, torch.zeros_like(ramp)])
    # Sobel of a ramp of 1/8 per pixel: 8/8 inside, half of it at the replicated borders, so its mean square is 5/8.
    loss = fusion_loss(torch.zeros_like(ramp), edges, LossWeights(torch.zeros_like(edges), weights), alpha1=2.0)
    assert float(loss) == pytest.approx(2 * 0.25 * 5 / 8)
    assert torch.equal(gradients(edges)[0, 0, 0, 0], torch.tensor([0.5, 1.0, 1.0, 0.5]))


def test_reconstruction_loss_takes_the_worse_source_at_each_pixel():
    planes = torch.zeros(2, 1, 1, 1, 2)
    rebuilt = torch.tensor([[0.3, 0.1], [0.2, 0.4]]).view(2, 1, 1, 1, 2)
    assert float(reconstruction_loss(rebuilt, planes, alpha2=0.0)) == pytest.approx((0.09 + 0.16) / 2)
    assert float(reconstruction_loss(planes, planes)) == 0


def test_proposed_weights_sum_to_one():
    for weight in LossProposal()(sources(1, (9, 5))):
        assert weight.shape == (2, 1, 1, 9, 5) and weight.min() > 0
        torch.testing.assert_close(weight.sum(0), torch.ones(1, 1, 9, 5))


def test_reconstruction_begins_as_the_fused_image_and_learns_both_sources():
    reconstruction, planes = Reconstruction(), sources(1, (9, 5))
    fused = planes.mean(0)
    assert torch.equal(reconstruction(fused), torch.stack([fused, fused]))
    reconstruction_loss(reconstruction(fused), planes).backward()
    optimizer = torch.optim.Adam(reconstruction.parameters(), 1e-2)
    optimizer.step()
    rebuilt = reconstruction(fused)
    assert rebuilt.shape == planes.shape and not torch.equal(rebuilt[0], rebuilt[1])


def episodes(count=5):
    return Episodes(
        lambda index: np.full((2, 40, 40), index / 8, np.float32),
        count,
        batch=8,
        crop=32,
        turns=False,
        names=(3, "test"),
        meta_steps=4,
        fusion_steps=2,
    )


def test_episodes_alternate_and_never_test_on_what_they_train_on():
    data = episodes()
    assert [data[step].test is None for step in range(12)] == 2 * ([False] * 4 + [True] * 2)
    halves = []
    for first in (0, 6, 12, 18):
        steps = [data[step] for step in range(first, first + 4)]
        train = {float(x) for step in steps for x in step.train.unique()}
        test = {float(x) for step in steps for x in step.test.unique()}
        assert not train & test and train | test == {index / 8 for index in range(5)}
        halves.append(frozenset(train))
    assert len(set(halves)) > 1
    assert torch.equal(data[7].train, episodes()[7].train)


def test_a_single_pair_cannot_be_split():
    with pytest.raises(UserError, match="there is 1; give more"):
        episodes(1)


def run(folder, *, stop_at=None):
    torch.manual_seed(0)
    system, config = ReFusionSystem(), TrainConfig(steps=6, lr=5e-3, checkpoint_every=3, log_every=1)
    fixed = [Episode(sources(1), sources(2)), Episode(sources(1), None)]

    def progress(step, values):
        if step == stop_at:
            raise KeyboardInterrupt

    device = Device(torch.device("cpu"))
    losses = refusion_losses(system)

    def batches(first):
        return (fixed[step % 2] for step in range(first, 6))

    return system, fit(system, batches, losses, config, folder=folder, device=device, progress=progress)


def test_the_one_loop_trains_and_resumes_it(tmp_path):
    system, history = run(tmp_path / "straight")
    for name in ("outer", "fusion", "reconstruction"):
        values = [row.value for row in history if row.name == name]
        assert len(values) == 3 and values[-1] < values[0]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", stop_at=4)
    resumed, again = run(tmp_path / "broken")
    assert all(torch.equal(x, y) for x, y in zip(system.parameters(), resumed.parameters(), strict=True))
    assert again == history


def test_file_round_trip_and_odd_sizes(tmp_path):
    system, path = ReFusionSystem().eval(), tmp_path / "model.safetensors"
    save_weights(path, system, kind=KIND, config={})
    a, b = sources(4, (9, 15))
    fused = load_refusion(path).fuse(a, b)
    assert torch.equal(fused, system.fuse(a, b)) and fused.shape == a.shape and 0 <= fused.min() and fused.max() <= 1
    stretched = system.fuse(a, b, stretch=True)
    assert stretched.min() == 0 and stretched.max() == 1
