import numpy as np
import torch

from components.training.data import CropBatches, batches_from

PLANES = np.random.default_rng(0).random((2, 50, 70)).astype(np.float32)


def crops(**changes):
    options = {"batch": 4, "crop": 32, "turns": True, "names": (1, "test")} | changes
    return CropBatches(lambda index: PLANES, 3, **options)


def test_batch_is_a_function_of_seed_and_step():
    first, again, other = crops()[7], crops()[7], crops(names=(2, "test"))[7]
    assert torch.equal(first[0], again[0]) and not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], crops()[8][0])


def test_planes_stay_registered():
    planes = np.stack([PLANES[0], 1 - PLANES[0]])
    batch, _ = CropBatches(lambda index: planes, 1, batch=8, crop=32, turns=True, names=(0,))[0]
    torch.testing.assert_close(batch[0] + batch[1], torch.ones_like(batch[0]))


def test_scenes_with_an_up_are_not_turned():
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[:, None], 64, 1)[None]
    upright, _ = CropBatches(lambda index: ramp, 1, batch=16, crop=32, turns=False, names=(0,))[0]
    assert bool((upright[0, :, 0, -1] > upright[0, :, 0, 0]).all())
    turned, _ = CropBatches(lambda index: ramp, 1, batch=16, crop=32, turns=True, names=(0,))[0]
    assert not bool((turned[0, :, 0, -1] > turned[0, :, 0, 0]).all())


def test_bytes_become_unit_range_and_small_images_are_padded():
    small = np.full((1, 20, 90), 255, np.uint8)
    batch, _ = CropBatches(lambda index: small, 1, batch=2, crop=32, turns=False, names=(0,))[0]
    assert batch.shape == (1, 2, 1, 32, 32) and batch.dtype == torch.float32 and float(batch.min()) == 1.0


def test_batches_start_anywhere_and_do_not_depend_on_workers():
    alone = [batch for batch, _ in batches_from(crops(), 6)(2)]
    together = [batch for batch, _ in batches_from(crops(), 6, workers=2)(2)]
    assert len(alone) == 4
    assert all(torch.equal(x, y) for x, y in zip(alone, together, strict=True))
    assert torch.equal(alone[0], crops()[2][0])
