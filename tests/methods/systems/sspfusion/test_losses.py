import numpy as np
import pytest
import torch

from sigforge.losses.fusion import sobel_magnitude, ssim
from sigforge.methods.systems.sspfusion.losses import (
    WITHOUT_EDGES,
    charbonnier,
    dice_distance,
    fused_terms,
    structure_loss,
    structure_target,
)


def random_maps(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_targets_mark_what_is_steeper_than_the_mean_of_each_map():
    maps = random_maps(2, 3, 12, 10)
    target = structure_target(maps)
    for image in range(2):
        for channel in range(3):
            steep = sobel_magnitude(maps[image, channel][None, None])[0, 0]
            assert torch.equal(target[image, channel], (steep > steep.mean()).float())
    assert structure_target(torch.full((1, 2, 8, 8), 0.3)).sum() == 0


def test_targets_ignore_scale_and_offset_and_pass_no_gradient():
    maps = random_maps(1, 4, 16, 16).requires_grad_()
    assert torch.equal(structure_target(maps), structure_target(3 * maps + 1))
    assert not structure_target(maps).requires_grad


def test_dice_by_hand_and_at_its_best():
    p, g = random_maps(2, 3, 6, 5), structure_target(random_maps(2, 3, 6, 5, seed=1))
    by_hand = []
    for x, y in zip(p.double().numpy(), g.double().numpy(), strict=True):
        slack = WITHOUT_EDGES * x.size
        by_hand.append(((x**2).sum() + (y**2).sum() + slack) / (2 * (x * y).sum() + slack))
    assert float(dice_distance(p, g)) == pytest.approx(np.mean(by_hand), rel=1e-5)
    assert float(dice_distance(g, g)) == 1
    worse = [float(dice_distance(g * (1 - noise) + noise / 2, g)) for noise in (0, 0.3, 0.6, 1)]
    assert worse == sorted(worse) and worse[1] > 1


def test_a_level_without_edges_stays_finite():
    flat = torch.zeros(1, 2, 8, 8)
    predicted = torch.full_like(flat, 0.5).requires_grad_()
    loss = structure_loss([predicted], [flat])
    loss.backward()
    assert torch.isfinite(loss) and float(dice_distance(flat, flat)) == 1 and float(predicted.grad.min()) > 0


def test_levels_add_up():
    maps = [random_maps(1, 2, 8, 8), random_maps(1, 4, 4, 4)]
    targets = [structure_target(level) for level in maps]
    alone = [float(dice_distance(p, g)) for p, g in zip(maps, targets, strict=True)]
    assert float(structure_loss(maps, targets)) == pytest.approx(sum(alone))


def test_charbonnier_is_a_rounded_distance():
    zero = torch.zeros(1, 1, 4, 4)
    assert float(charbonnier(zero, zero)) == pytest.approx(1e-3)
    assert float(charbonnier(zero + 0.3, zero)) == pytest.approx(np.hypot(0.3, 1e-3), rel=1e-6)


def test_fused_terms_are_the_papers():
    fused, a, b = random_maps(3, 1, 1, 24, 24)
    terms = fused_terms(fused, a, b)
    assert set(terms) == {"ssim", "smooth", "grad"}
    assert float(terms["ssim"]) == pytest.approx(1 - (float(ssim(fused, a)) + float(ssim(fused, b))) / 2)
    assert float(terms["smooth"]) == pytest.approx(float((fused - torch.maximum(a, b)).abs().mean()))
    assert float(fused_terms(torch.maximum(a, b), a, b)["smooth"]) == 0
