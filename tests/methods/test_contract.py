"""What every registered classical method promises, one test per promise and method."""

import math

import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS
from sigforge.methods.registry import get_method, list_methods

CLASSICAL = list_methods(kind="classical")
MANY = [name for name in CLASSICAL if get_method(name).n_sources[1] is None]
every_method = pytest.mark.parametrize("name", CLASSICAL)
every_count = pytest.mark.parametrize(
    ("name", "n"), [*((name, 2) for name in CLASSICAL), *((name, 3) for name in MANY)]
)
every_size = pytest.mark.parametrize("size", [(61, 83), (64, 64), (8, 8), (1, 5)], ids=str)


@every_count
@every_size
def test_identical_sources_come_back(name, size, n, random_sources):
    (image,) = random_sources(1, 2, 1, *size)
    torch.testing.assert_close(get_method(name).fuse(*[image] * n), image, atol=1e-5, rtol=0)


@every_count
@every_size
def test_shape_type_and_range(name, size, n, random_sources):
    fused = get_method(name).fuse(*random_sources(n, 2, 1, *size))
    assert fused.shape == (2, 1, *size)
    assert fused.dtype == torch.float32
    assert 0 <= fused.min() and fused.max() <= 1


@every_method
def test_overshoot_is_clamped(name):
    rows = torch.arange(32)[:, None].expand(32, 32)
    stripes, blocks = (rows % 2).float()[None, None], (rows // 8 % 2).float()[None, None]
    fused = get_method(name).fuse(stripes, blocks)
    assert fused.isfinite().all() and 0 <= fused.min() and fused.max() <= 1


@every_method
def test_the_function_itself_keeps_the_contract(name, random_sources):
    sources = torch.stack(random_sources(3 if name in MANY else 2, 2, 1, 21, 34))
    torch.testing.assert_close(get_method(name).function(sources), get_method(name).fuse(*sources), atol=0, rtol=0)


@every_method
def test_a_batch_equals_its_images_one_by_one(name, focus, random_sources):
    crops = (
        [focus.near[..., :80, i : i + 100] for i in (0, 30, 60)],
        [focus.far[..., :80, i : i + 100] for i in (0, 30, 60)],
    )
    together = get_method(name).fuse(*map(torch.cat, crops))
    for index, (a, b) in enumerate(zip(*crops, strict=True)):
        alone = get_method(name).fuse(a, b)
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-6, rtol=0)


@every_method
def test_the_order_of_sources_matters_only_where_the_registry_says_so(name, focus):
    one, other = get_method(name).fuse(focus.near, focus.far), get_method(name).fuse(focus.far, focus.near)
    assert torch.allclose(one, other, atol=1e-6, rtol=0) == get_method(name).symmetric


@pytest.mark.parametrize("name", [name for name in MANY if get_method(name).symmetric])
def test_three_sources_may_come_in_any_order(name, random_sources):
    a, b, c = random_sources(3, 1, 1, 40, 51)
    torch.testing.assert_close(get_method(name).fuse(a, b, c), get_method(name).fuse(c, a, b), atol=1e-6, rtol=0)


def test_methods_that_take_two_refuse_a_third():
    images = [torch.zeros(1, 1, 8, 8)] * 3
    assert set(CLASSICAL) - set(MANY) == {"gtf"}
    with pytest.raises(ValueError, match="gtf fuses 2 sources, got 3"):
        get_method("gtf").fuse(*images)


@every_method
def test_flat_sources_give_a_flat_image_between_them(name):
    dark, bright = torch.full((1, 1, 33, 47), 0.2), torch.full((1, 1, 33, 47), 0.7)
    fused = get_method(name).fuse(dark, bright)
    assert fused.max() - fused.min() < 1e-5
    assert 0.2 - 1e-5 <= fused.min() and fused.max() <= 0.7 + 1e-5


@every_method
def test_sources_are_left_alone(name, random_sources):
    a, b = random_sources(2, 1, 1, 32, 32)
    before = a.clone(), b.clone()
    get_method(name).fuse(a, b)
    assert torch.equal(a, before[0]) and torch.equal(b, before[1])


@every_method
def test_strided_and_differentiable_inputs_are_accepted(name, random_sources):
    a, b = random_sources(2, 1, 1, 40, 24)
    fused = get_method(name).fuse(a.mT.requires_grad_(), b.mT)
    assert not fused.requires_grad
    torch.testing.assert_close(
        fused, get_method(name).fuse(a.mT.detach().contiguous(), b.mT.contiguous()), atol=1e-6, rtol=0
    )


@every_method
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu(name, focus):
    fused = get_method(name).fuse(focus.near.cuda(), focus.far.cuda())
    assert fused.is_cuda
    torch.testing.assert_close(fused.cpu(), get_method(name).fuse(focus.near, focus.far), atol=1e-5, rtol=0)


@every_method
def test_shapes_that_differ_are_both_named(name):
    with pytest.raises(ValueError, match=rf"{name}.*\(2, 1, 8, 8\) and \(2, 1, 8, 9\)"):
        get_method(name).fuse(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 9))


@every_method
@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 3, 8, 8), (0, 1, 8, 8), (1, 1, 0, 8)], ids=str)
def test_anything_but_single_planes_is_refused(name, shape):
    with pytest.raises(ValueError, match=r"\(B, 1, H, W\)"):
        get_method(name).fuse(torch.zeros(shape), torch.zeros(shape))


@every_method
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_values_outside_the_unit_interval_are_refused(name, value):
    b = torch.zeros(1, 1, 8, 8)
    b[0, 0, 3, 4] = value
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        get_method(name).fuse(torch.zeros(1, 1, 8, 8), b)


@every_method
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.float16])
def test_other_types_are_refused(name, dtype):
    with pytest.raises(ValueError, match="float32"):
        get_method(name).fuse(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8, dtype=dtype))


@every_method
def test_an_unknown_option_is_named_with_the_known_ones(name):
    method = get_method(name)
    with pytest.raises(UserError, match="'sharpness'") as error:
        method.fuse(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), sharpness=3)
    assert all(option in str(error.value) for option in method.defaults)


@every_method
def test_options_of_the_wrong_type_are_refused(name):
    for option, default in get_method(name).defaults.items():
        wrong = 4 if isinstance(default, str) else "four"
        with pytest.raises(UserError, match=f"{option}={wrong!r}.*type {type(default).__name__}"):
            get_method(name).fuse(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), **{option: wrong})


@every_method
def test_negative_numbers_are_refused_by_every_numeric_option(name):
    for option, default in get_method(name).defaults.items():
        if not isinstance(default, str):
            with pytest.raises(UserError, match=f"{option}=-1.* must be at least"):
                get_method(name).fuse(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), **{option: type(default)(-1)})


@every_method
def test_facts_are_complete(name):
    method = get_method(name)
    assert method.tasks and set(method.tasks) <= set(TASKS)
    assert method.equation
    assert bool(method.paper) == (method.year is not None)
    assert all(f"        {option}:" in method.function.__doc__ for option in method.defaults)
