import pytest
import torch

from sigforge.core.device import Device
from sigforge.core.seeds import rng_of
from sigforge.methods.systems.defusion.losses import anneal, defusion_losses, masked_l1, regions
from sigforge.methods.systems.defusion.network import DeFusion
from sigforge.methods.systems.defusion.views import MaskedViews, cover, jitter
from sigforge.training.config import TrainConfig
from sigforge.training.crops import CropBatches, batches_from
from sigforge.training.loop import fit

NAMES = (7, "test")


def planes(index):
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 48), indexing="ij")
    return torch.stack([(0.5 + 0.5 * torch.sin(9 * rows + index)) * columns, rows]).numpy()


def views(*, batch=1, channels=1, folded=True, crop=32):
    crops = CropBatches(planes, 3, batch=batch, crop=crop, turns=False, names=NAMES)
    return MaskedViews(crops, channels=channels, folded=folded, names=NAMES)


def test_masks_cover_everything_and_overlap():
    masks = torch.stack([cover((64, 48), rng_of(0, k)) for k in range(200)])
    assert masks.shape == (200, 2, 1, 64, 48) and set(masks.unique().tolist()) == {0.0, 1.0}
    assert (masks.amax(1) == 1).all()
    first, second, both = (float(x.mean()) for x in (masks[:, 0], masks[:, 1], masks.prod(1)))
    assert first == pytest.approx(second, abs=0.05) and 0.1 < both < first


def test_regions_are_a_partition():
    first, second, third = regions(cover((32, 32), rng_of(3))[:, None])
    assert torch.equal(first + second + third, torch.ones(1, 1, 32, 32)) and first.sum() > 0 and second.sum() > 0


@pytest.mark.parametrize(("channels", "folded"), [(3, True), (1, False)])
def test_views_show_the_image_in_the_mask_and_noise_elsewhere(channels, folded):
    batch = views(batch=2, channels=channels, folded=folded)[5]
    assert batch.clean.shape == (4, 1, 32, 32) and batch.views.shape == (2, 4, channels, 32, 32)
    shown, noise = batch.masks.expand_as(batch.views) == 1, batch.views[batch.masks.expand_as(batch.views) == 0]
    assert torch.equal(batch.views[shown], batch.clean.expand_as(batch.views)[shown])
    assert (noise.min() >= 0 and noise.max() == 1) if folded else (noise.min() < -1 and abs(noise.mean()) < 0.2)


def test_a_step_always_gives_the_same_views_and_another_step_others():
    again = views()[4]
    assert torch.equal(views()[4].views, again.views) and views()[4].seed == again.seed
    assert not torch.equal(views()[5].masks, again.masks) and views()[5].seed != again.seed


def test_jitter_darkens_and_keeps_what_is_flat():
    images = torch.rand(6, 1, 8, 8)
    changed = jitter(images, rng_of(1))
    assert (changed.mean((1, 2, 3)) < images.mean((1, 2, 3))).all()
    assert (changed.std((1, 2, 3)) < images.std((1, 2, 3))).all() and changed.min() >= 0
    flat = jitter(torch.ones(6, 1, 4, 4), rng_of(2))
    torch.testing.assert_close(flat, flat[:, :, :1, :1].expand_as(flat))


def test_outside_of_the_region_weighs_less():
    region = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    image, clean = torch.full((1, 1, 1, 2), 0.5), torch.full((1, 1, 1, 2), 0.7)
    assert float(masked_l1(image, clean, region, outside=0.1)) == pytest.approx((0.2 + 0.1 * 0.5) / 2)
    assert float(masked_l1(region * clean, clean, region)) == 0


def test_annealing_follows_the_length_of_the_run():
    assert [anneal(step, 637_500) for step in (2999, 7000, 50_000)] == [(0, 0), (0.15, 0), (pytest.approx(0.015), 1)]
    assert anneal(17_000, 637_500)[1] == 0.25 and anneal(170, 6375) == anneal(17_000, 637_500)


def test_a_few_steps_of_the_one_loop_lower_the_loss_on_a_fixed_batch(tmp_path):
    torch.manual_seed(0)
    net, config = DeFusion(channels=1, width=8), TrainConfig(steps=8, lr=3e-4, log_every=1)
    batch, losses = views()[4], defusion_losses(net, steps=4)
    history = fit(net, lambda first: [batch] * 8, losses, config, folder=tmp_path, device=Device(torch.device("cpu")))
    values = {name: [row.value for row in history if row.name == name] for name in ("loss", "fused")}
    assert values["loss"][-1] < 0.8 * values["loss"][0] and values["fused"][-1] < values["fused"][0]
    with torch.no_grad():
        alive = [float((part > 0).float().mean()) for part in net(batch.views)]
    assert min(alive) > 0.5  # the ReLU behind each image lets no gradient through where it is zero


def test_views_resume_at_any_step():
    late = next(iter(batches_from(views(), 6)(5)))
    assert late.step == 5 and torch.equal(late.views, views()[5].views)
