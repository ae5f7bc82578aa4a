import copy

import numpy as np
import pytest
import torch

from sigforge.core.device import Device
from sigforge.core.errors import UserError
from sigforge.methods.systems.emma.losses import (
    QUARTER_TURNS,
    REFLECTIONS,
    Reflection,
    Rotation,
    Shift,
    draw_transforms,
    emma_terms,
    emma_total,
    image_distance,
)
from sigforge.methods.systems.emma.network import Sensing, SensingConfig, UFuser, UFuserConfig
from sigforge.methods.systems.emma.training import EquivariantBatches, emma_losses, sensing_losses
from sigforge.training.config import TrainConfig
from sigforge.training.crops import CropBatches, batches_from
from sigforge.training.loop import fit

CPU = Device(torch.device("cpu"))


def planes(count, seed=0):
    """Smooth random planes (count, 48, 48)."""
    coarse = torch.rand(1, count, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=48, mode="bicubic")[0].clamp(0, 1).numpy()


def crops(count=2, **options):
    pair = planes(count)
    return CropBatches(
        lambda index: pair, 1, **{"batch": 2, "crop": 32, "turns": False, "names": (0, "emma")} | options
    )


@pytest.fixture
def models():
    torch.manual_seed(0)
    return UFuser(UFuserConfig(widths=(8, 8, 8, 8))), Sensing(SensingConfig(width=4))


def test_transforms_are_exactly_undone():
    image = torch.rand(2, 1, 16, 16)
    drawn = draw_transforms(np.random.default_rng(0), 16)
    assert [type(t) for t in drawn] == [Shift] * 3 + [Rotation] * 3 + [Reflection] * 3
    for transform in drawn:
        moved = transform(image)
        assert not torch.equal(moved, image)
        assert torch.equal(transform.inverse(moved), image)
        assert torch.equal(moved.flatten().sort().values, image.flatten().sort().values)


def test_shifts_are_distinct_and_never_zero():
    rng = np.random.default_rng(1)
    for _ in range(50):
        shifts = draw_transforms(rng, 4)[:3]
        for offsets in ([s.rows for s in shifts], [s.columns for s in shifts]):
            assert len(set(offsets)) == 3 and 0 not in offsets and max(map(abs, offsets)) < 4


def test_any_angle_agrees_with_the_quarter_turn_and_blackens_corners():
    image = torch.from_numpy(planes(1))[None] * 0.5 + 0.25
    nearly = Rotation(90.001)(image)
    torch.testing.assert_close(nearly, Rotation(90)(image), atol=5e-3, rtol=0)
    tilted = Rotation(10)(image)
    assert tilted[0, 0, 0, 0] == 0 and tilted[0, 0, 24, 24] > 0.2
    inner = (..., slice(16, 32), slice(16, 32))
    torch.testing.assert_close(Rotation(-10)(tilted)[inner], image[inner], atol=0.02, rtol=0)


def test_distance_by_hand():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8) / 8
    # Values differ by 1/16 on average over a half; the slope 1/8 of the ramp is halved at the two replicated columns.
    expected = (ramp / 2).mean() + (6 / 16 + 2 / 32) / 8 / 2
    torch.testing.assert_close(image_distance(ramp, ramp / 2), expected)
    assert image_distance(ramp, ramp) == 0


def test_terms_vanish_for_a_perfect_equivariant_system():
    sources = torch.rand(1, 2, 1, 16, 16).expand(2, -1, -1, -1, -1)
    mean, both = (lambda stack: stack.mean(0)), (lambda fused: torch.stack([fused, fused]))
    transforms = (Shift(3, 1), *map(Rotation, QUARTER_TURNS), *REFLECTIONS)
    terms = emma_terms(mean, both, sources, transforms)
    assert all(float(term) < 1e-6 for term in terms.values())
    biased = emma_terms(lambda stack: stack.mean(0) / 2, both, sources, transforms)
    assert float(biased["sense_a"]) > 0.1 and float(biased["equivariance"]) > 0.05
    by_hand = biased["sense_a"] + 2 * biased["sense_b"] + 3 * biased["equivariance"]
    assert torch.equal(emma_total(biased, alpha_1=2, alpha_2=3), by_hand)


def test_what_is_compared_is_the_moved_image_and_its_refusion():
    seen = []
    sources = torch.rand(2, 1, 1, 16, 16)

    def sense(fused):
        seen.append(fused)
        return torch.stack([fused, fused])

    emma_terms(lambda stack: stack.mean(0), sense, sources, (Shift(0, 5), Reflection((-1,))))
    fused, moved = seen
    assert torch.equal(moved, torch.cat([fused, fused.roll(5, -1), fused.flip(-1)]))


def test_both_trainings_lower_their_losses_and_sensing_stays_frozen(tmp_path, models):
    fuser, sensing = models
    config = TrainConfig(steps=24, lr=5e-3, log_every=1)
    fused = crops(1)[0][0]
    sources = torch.cat([fused**2, fused**0.5])  # what a pointwise network can sense
    fixed = (torch.cat([fused, sources]), None)
    rows = fit(sensing, lambda first: [fixed] * 24, sensing_losses(sensing), config, folder=tmp_path, device=CPU)
    sensed = [row.value for row in rows if row.name == "loss"]
    assert sensed[-1] < 0.7 * sensed[0]

    sensing.zero_grad()
    before = copy.deepcopy(sensing.state_dict())
    losses = emma_losses(fuser, sensing)
    batch = (sources, None, EquivariantBatches(crops())[0][2])
    rows = fit(fuser, lambda first: [batch] * 24, losses, config, folder=tmp_path, device=CPU)
    total = [row.value for row in rows if row.name == "loss"]
    assert total[-1] < 0.9 * total[0]
    assert {row.name for row in rows} == {"loss", "sense_a", "sense_b", "equivariance"}
    assert all(torch.equal(value, before[name]) for name, value in sensing.state_dict().items())
    assert all(parameter.grad is None for parameter in sensing.parameters())


def test_gradients_reach_the_fuser_through_the_frozen_sensing(models):
    fuser, sensing = models
    values = emma_losses(fuser, sensing)(EquivariantBatches(crops())[0])
    values["sense_a"].backward()
    assert float(fuser.head.weight.grad.abs().sum()) > 0


def test_batches_depend_on_the_step_alone():
    start_at = batches_from(EquivariantBatches(crops()), 4)
    straight, resumed = list(start_at(0)), list(start_at(2))
    for (x, _, drawn), (y, _, again) in zip(straight[2:], resumed, strict=True):
        assert torch.equal(x, y) and drawn == again
    assert straight[0][2] != straight[1][2]


def test_the_authors_angles_can_be_asked_for():
    _, _, drawn = EquivariantBatches(crops(), shifts=1, degrees=(10, 130))[0]
    assert drawn[1:3] == (Rotation(10), Rotation(130)) and len(drawn) == 6


def test_a_crop_that_cannot_be_halved_is_refused():
    with pytest.raises(UserError, match="'crop' is 40; choose a multiple of 16"):
        EquivariantBatches(crops(crop=40))
