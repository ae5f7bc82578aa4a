import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sigforge.core.errors import UserError
from sigforge.methods.sigfusion.dominance import (
    dominance,
    even_map,
    gain_of,
    map_names,
    map_to_signals,
    pool_to_tokens,
    signals_to_map,
    swapped,
)
from sigforge.methods.sigfusion.plgn import KIND, Plgn, load_plgn
from sigforge.methods.sigfusion.prior import DominancePrior
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import save_weights
from sigforge.training.config import TrainConfig
from sigforge.training.loop import make_optimizer

CONFIG = SigFormerConfig(width=16, heads=2)
SIDE = 64
LEFT = torch.arange(SIDE) < SIDE // 2


@pytest.fixture
def plgn():
    torch.manual_seed(0)
    return Plgn(SigFormer(CONFIG), ("ir", "vis"), condition="dominance").eval()


@pytest.fixture(scope="module")
def fused():
    random = np.random.default_rng(0).random((2, 1, SIDE, SIDE), dtype=np.float32)
    return 0.5 + 0.6 * (F.avg_pool2d(F.pad(torch.from_numpy(random), (1,) * 4, mode="reflect"), 3, 1) - 0.5)


def tokens(plgn, fused):
    return plgn.sigformer.decompose(fused).low.shape[-2:]


def maps_of(plgn, fused, share):
    """Brightness alike, every subband with one share, given as a number or per pixel (H, W)."""
    pixels = even_map(CONFIG, len(fused), SIDE, SIDE)
    pixels[:, 1:-1] = torch.as_tensor(share, dtype=torch.float32)
    return pool_to_tokens(pixels, CONFIG)


def detail(plane):
    return (plane - F.avg_pool2d(plane, 9, 1, 4, count_include_pad=False))[..., 12:-12, :]


def strength(plane, columns=slice(None)):
    return float(detail(plane)[..., columns].std())


def test_an_even_map_changes_nothing(plgn, fused):
    maps = even_map(CONFIG, 2, *tokens(plgn, fused))
    torch.testing.assert_close(plgn(fused, "ir", maps), plgn.sigformer(fused), atol=1e-5, rtol=0)


def test_a_constant_map_gives_one_source_everything(plgn, fused):
    whole = strength(plgn.sigformer(fused))
    with torch.inference_mode():
        all_of_it, nothing = (plgn(fused, "ir", maps_of(plgn, fused, share)) for share in (1.0, 0.0))
    assert strength(all_of_it) == pytest.approx(whole, rel=0.01)
    assert strength(nothing) < 0.12 * whole
    # What is left is the grey level of the place, not black.
    assert float(nothing.mean()) == pytest.approx(float(fused.mean()), abs=0.02)


def test_swapping_the_map_swaps_what_the_sources_show(plgn, fused):
    maps = maps_of(plgn, fused, LEFT.float().expand(SIDE, SIDE))
    left, right = slice(8, 24), slice(40, 56)
    with torch.inference_mode():
        ir, vis = plgn(fused, "ir", maps), plgn(fused, "vis", swapped(maps))
        ir_swapped, vis_swapped = plgn(fused, "ir", swapped(maps)), plgn(fused, "vis", maps)
    assert strength(ir, left) > 5 * strength(ir, right) and strength(vis, right) > 5 * strength(vis, left)
    torch.testing.assert_close(ir_swapped, vis)
    torch.testing.assert_close(vis_swapped, ir)


def test_brightness_is_shifted_without_a_lattice(plgn):
    flat = torch.full((1, 1, SIDE, SIDE), 0.5)
    maps = even_map(CONFIG, 1, *tokens(plgn, flat))
    maps[:, 0] = 0.6
    maps[:, 1:-1] = 0.2
    with torch.inference_mode():
        brighter = plgn(flat, "ir", maps)[..., 8:-8, 8:-8]
    assert float(brighter.mean()) == pytest.approx(0.6, abs=0.01)
    assert float(brighter.std()) < 0.5 / 255


def test_weaker_details_can_be_inverted(plgn, fused):
    maps = maps_of(plgn, fused, 0.3)
    maps[:, -1] = 0
    with torch.inference_mode():
        inverted = detail(plgn(fused, "ir", maps)).flatten()
    assert float(torch.corrcoef(torch.stack([inverted, detail(fused).flatten()]))[0, 1]) < -0.9


def test_the_map_of_a_pair_says_who_has_what(plgn, fused):
    flat = torch.full_like(fused, 0.3)
    a, b = torch.where(LEFT, fused, flat), torch.where(LEFT, flat, fused)
    maps = dominance(plgn.sigformer, a, b)
    assert maps.shape == (2, len(map_names(CONFIG)), *tokens(plgn, fused))
    assert float(maps.min()) >= 0 and float(maps.max()) <= 1
    middle = maps[:, 1:-1, 4:-4]
    # The highest bands hold so little here that both count as half silent.
    assert float(middle[..., :4].mean()) > 0.75 and float(middle[..., -5:-1].mean()) < 0.25
    # a is brighter by 0.2 on the left, b on the right: half of it each from one half.
    assert float(maps[:, 0, 6:-6, :2].mean()) == pytest.approx(0.6, abs=0.03)
    torch.testing.assert_close(dominance(plgn.sigformer, b, a), swapped(maps), atol=1e-4, rtol=0)


def test_polarity_of_an_inverted_image_is_zero_and_shares_are_even(plgn, fused):
    same, inverted = (dominance(plgn.sigformer, fused, other) for other in (fused, 1 - fused))
    assert float(same[:, -1].min()) > 0.95 and float(inverted[:, -1].max()) < 0.05
    torch.testing.assert_close(same[:, :-1], torch.full_like(same[:, :-1], 0.5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("level", [0, 1])
def test_maps_lie_where_signals_are_from(level):
    config = SigFormerConfig(width=16, heads=2, pools=(1, 2))
    pooled = config.pools[level]
    maps = torch.rand(1, config.signals, 12, 8).repeat_interleave(pooled, -1).repeat_interleave(pooled, -2)
    signals = map_to_signals(maps, config, level)
    assert signals.shape == (1, config.signals, 96)
    torch.testing.assert_close(signals_to_map(signals, config, level, maps.shape[-2:]), maps)
    layout = config.layout(level)
    plain = layout.flatten(maps[..., ::pooled, ::pooled])
    torch.testing.assert_close(plain.abs(), signals)


def test_gains_are_continuous_in_the_share():
    share = torch.linspace(0, 1, 1001)
    for polarity in (0.0, 0.5, 1.0):
        gain = gain_of(share, torch.tensor(polarity))
        assert float(gain.diff().abs().max()) < 0.04 and float(gain.abs().max()) <= 1


def test_a_few_steps_come_nearer_to_the_real_source(plgn, fused):
    a, b = torch.where(LEFT, fused, 0.3), torch.where(LEFT, 0.7, 1.2 * (fused - 0.5) + 0.5)
    mean = (a + b) / 2
    plgn.train()
    optimizer, start = make_optimizer(plgn, TrainConfig(lr=3e-3)), None
    for _ in range(15):
        loss = plgn.loss(mean, a, "ir", torch.stack([a, b]))
        start = start or float(loss.signal.detach() + loss.pixel.detach())
        assert float(loss.pixel.detach()) < 0.5 * float(loss.identity_pixel)
        optimizer.zero_grad()
        (loss.signal + loss.pixel).backward()
        optimizer.step()
    assert float((loss.signal + loss.pixel).detach()) < 0.8 * start


def test_the_file_carries_condition_and_prior(plgn, fused, tmp_path):
    plgn.prior = DominancePrior(("p1", "p2"), ("vif", "vif"), len(map_names(CONFIG)))
    plgn.prior.put(1, torch.rand(8, 32, 32), torch.rand(2, 22), follows=torch.rand(7), spread=0.2, alike=0.4)
    config = {"sigformer": CONFIG.model_dump(mode="json"), "channels": ["ir", "vis"], "task": "vif"}
    config |= {"condition": "dominance", "prior": plgn.prior.facts()}
    save_weights(tmp_path / "plgn.safetensors", plgn, kind=KIND, config=config)
    loaded = load_plgn(tmp_path / "plgn.safetensors")
    assert loaded.condition == "dominance" and loaded.prior.pairs == ("p1", "p2") and loaded.prior.of("mri-ct") == []
    assert torch.equal(loaded.prior.maps, plgn.prior.maps) and float(loaded.prior.alike[1]) == pytest.approx(0.4)
    maps = maps_of(plgn, fused, 0.2)
    torch.testing.assert_close(loaded(fused, "ir", maps), plgn(fused, "ir", maps))


def test_chroma_is_not_brighter_where_luma_is(fused):
    plgn = Plgn(SigFormer(CONFIG), ("over", "over_cb"), condition="dominance").eval()
    assert plgn.modulators["over"].gates["L2"].shift.direct.weight.abs().max() > 0
    assert plgn.modulators["over_cb"].gates["L2"].shift.direct.weight.abs().max() == 0


def test_maps_that_do_not_fit_are_one_line(plgn, fused):
    with pytest.raises(UserError, match="trained with 'plgn.condition: dominance' and needs a map"):
        plgn(fused, "ir")
    with pytest.raises(UserError, match=r"dominance map of \(2, 7, 5, 5\) on subbands that need \(2, 7, 17, 17\)"):
        plgn(fused, "ir", even_map(CONFIG, 2, 5, 5))
    plain = Plgn(SigFormer(CONFIG), ("ir",))
    with pytest.raises(UserError, match="trained without condition and takes no map"):
        plain(fused, "ir", even_map(CONFIG, 2, 17, 17))


def test_without_a_condition_nothing_is_new():
    torch.manual_seed(0)
    plain = Plgn(SigFormer(CONFIG), ("ir",))
    assert not any("gate" in name or "prior" in name for name in plain.state_dict())
