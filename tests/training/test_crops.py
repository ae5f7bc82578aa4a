from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.core.images import write_image
from sigforge.training.crops import CropBatches, batches_from
from sigforge.training.planes import PlaneCache

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


def test_an_error_while_preparing_a_batch_comes_out():
    class Broken(CropBatches):
        def __getitem__(self, step):
            if step == 3:
                raise UserError("a.png: is cut short")
            return super().__getitem__(step)

    broken = Broken(lambda index: PLANES, 3, batch=2, crop=32, turns=True, names=(0,))
    for workers in (0, 2):
        batches = batches_from(broken, 6, workers=workers)(1)
        assert len([next(batches), next(batches)]) == 2
        with pytest.raises(UserError, match=r"a\.png"):
            next(batches)


def test_decoded_planes_stay_within_the_budget_and_are_shared_by_threads(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        write_image(path, np.full((16, 16), number / 10, np.float32))
    cache = PlaneCache(budget=3 * 16 * 16 * 4)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(cache, paths * 20))
    assert [round(float(plane[0, 0]) * 10) for plane in read] == [*range(6)] * 20
    assert cache.used == sum(plane.nbytes for plane in cache.kept.values()) <= cache.budget
