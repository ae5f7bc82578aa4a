import pytest
import torch

from sigforge.losses.fidelity import softest, visual_fidelity
from sigforge.metrics import score


def texture(seed):
    noise = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 3, 1, padding=1)


def test_it_falls_with_noise_and_with_contrast_as_the_metric_does():
    source, other = texture(0), texture(1)
    fused = [source, 0.7 * source + 0.3 * other, 0.4 * source + 0.6 * other, other]
    ours = [float(visual_fidelity(source, each)) for each in fused]
    metric = [float(score(each, source, source, metrics="vif")["vif"]) for each in fused]
    assert ours == sorted(ours, reverse=True) and metric == sorted(metric, reverse=True)
    assert ours == pytest.approx(metric, abs=0.12)


def test_its_gradient_leads_towards_the_source():
    source, fused = texture(0), texture(1).requires_grad_()
    (-visual_fidelity(source, fused).sum()).backward()
    step = fused.detach() - 0.05 * fused.grad / fused.grad.abs().max()
    assert float(visual_fidelity(source, step)) > float(visual_fidelity(source, fused).detach())


def test_the_smooth_minimum_lies_between_minimum_and_mean():
    values = torch.tensor([[0.2, 0.5], [0.8, 0.5]])
    soft = softest(values)
    assert 0.2 < soft[0] < 0.3 and float(soft[1]) == pytest.approx(0.5)
