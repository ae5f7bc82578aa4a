"""The simulated pairs: reproducible, registered, complementary, and true to the physics they claim."""

import hashlib

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.ndimage import binary_dilation, binary_erosion, convolve
from scipy.stats import spearmanr
from skimage.registration import phase_cross_correlation

from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of
from sigforge.dataset.sources import demo, scenes
from sigforge.dataset.sources.scenes import base, mef, mfif, simulate, vif
from sigforge.dataset.tasks import TASKS

GREY = {"ir", "ct", "mri"}
MODALITIES = {
    "vif": {("ir", "vis")},
    "mfif": {("near", "far")},
    "mef": {("under", "over")},
    "mif": {("ct", "mri"), ("pet", "mri"), ("spect", "mri")},
}
LUMA = np.array([0.299, 0.587, 0.114])


def digest(pair):
    arrays = [pair.a, pair.b] + ([] if pair.reference is None else [pair.reference])
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def detail(image):
    """Mean squared gradient of luma, pixel by pixel."""
    grey = image.astype(float) @ LUMA if image.ndim == 3 else image.astype(float)
    return np.square(np.gradient(grey)).sum(axis=0)


# --- what every task promises -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", [64, 97, 256])
def test_shapes_types_and_modalities(task, size):
    pairs = list(simulate(task, 3, size, seed=4))
    assert {(pair.a_modality, pair.b_modality) for pair in pairs} == MODALITIES[task]
    for pair in pairs:
        for image, modality in ((pair.a, pair.a_modality), (pair.b, pair.b_modality)):
            assert image.dtype == np.uint8
            assert image.shape == ((size, size) if modality in GREY else (size, size, 3))
            assert image.std() > 3
        assert (pair.reference is None) == (task in ("vif", "mif"))
        assert pair.task == task and pair.subtask in scenes.subtasks(task) and pair.base in scenes.bases(task)
        assert pair.note.startswith("simulated") and pair.licence


@pytest.mark.parametrize("task", TASKS)
def test_a_pair_does_not_depend_on_how_many_are_made_or_in_what_order(task):
    long = [digest(pair) for pair in simulate(task, 5, 64, seed=7)]
    one, other = simulate(task, 3, 64, seed=7), simulate(task, 3, 64, seed=8)
    np.random.seed(1)
    interleaved = [(digest(next(one)), digest(next(other))) for _ in range(3)]
    assert [first for first, _ in interleaved] == long[:3]
    assert not {second for _, second in interleaved} & set(long)


@pytest.mark.parametrize("task", TASKS)
def test_a_set_has_variety_and_unique_names(task):
    pairs = list(simulate(task, 3 * len(scenes.bases(task)), 64, seed=0))
    assert len({digest(pair) for pair in pairs}) == len({pair.pair_id for pair in pairs}) == len(pairs)
    assert {pair.base for pair in pairs} == set(scenes.bases(task))
    assert {pair.subtask for pair in pairs} == set(scenes.subtasks(task))


@pytest.mark.parametrize("task", TASKS)
def test_bases_keep_train_and_test_apart(task):
    names = scenes.bases(task)
    train = list(simulate(task, 6, 64, 0, bases=names[:-2]))
    test = list(simulate(task, 6, 64, 0, bases=names[-2:]))
    assert {pair.base for pair in train} <= set(names[:-2]) and {pair.base for pair in test} <= set(names[-2:])
    assert not {pair.pair_id for pair in train} & {pair.pair_id for pair in test}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: simulate("video", 1, 128, 0), "vif, mif, mfif, mef"),
        (lambda: simulate("vif", -1, 128, 0), "negative"),
        (lambda: simulate("mif", 1, 63, 0), "64 to 256"),
        (lambda: simulate("mef", 1, 257, 0), "64 to 256"),
        (lambda: simulate("mef", 1, 128, 0, bases=("camera",)), "'camera' is unknown"),
        (lambda: simulate("mef", 1, 128, 0, bases=()), "none given"),
        (lambda: scenes.bases("video"), "unknown"),
    ],
)
def test_bad_requests_fail_at_once_and_name_the_mend(call, says):
    with pytest.raises(UserError, match=says):
        call()


@pytest.mark.parametrize("task", ["mfif", "mef"])
def test_the_licence_is_that_of_the_base_photograph(task):
    for pair in simulate(task, 6, 64, 0):
        assert pair.licence == demo.ORIGINS[pair.base].licence


# --- shared parts -----------------------------------------------------------------------------------------------------


def test_linear_light_follows_the_standard_and_comes_back():
    assert base.linear_light(np.array([0, 255])).tolist() == [0.0, 1.0]
    assert base.linear_light(np.array([188]))[0] == pytest.approx(0.5029, abs=1e-4)  # IEC 61966-2-1, worked by hand
    assert base.encode(np.array([-1.0, 2.0])).tolist() == [0, 255]


def test_smooth_noise_is_standard_and_the_same_field_at_every_size():
    coarse, fine = (base.smooth_noise(rng_of(0, 1), size, 4) for size in (64, 256))
    assert fine.mean() == pytest.approx(0, abs=1e-4) and fine.std() == pytest.approx(1, abs=1e-4)
    shrunk = fine.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.corrcoef(coarse.ravel(), shrunk.ravel())[0, 1] > 0.995


def test_the_guided_filter_keeps_an_edge_of_its_guide_and_levels_noise():
    rng = np.random.default_rng(0)
    step = np.repeat([[0.0] * 16 + [1.0] * 16], 32, axis=0).astype(np.float32)
    noisy = step + 0.1 * rng.standard_normal(step.shape).astype(np.float32)
    filtered = base.guided(noisy, step, 4, 1e-3)
    assert np.abs(filtered - step).mean() < 0.03
    assert filtered[:, 16].mean() - filtered[:, 15].mean() > 0.9


@pytest.mark.parametrize("name", ["chelsea", "motorcycle"])
def test_windows_stay_inside_and_never_enlarge(name):
    height, width = demo.base_image(name).shape[:2]
    for lap in range(40):
        view = base.window(name, 256, lap, rng_of(0, lap))
        assert view.side >= 256 and 0 <= view.top <= height - view.side and 0 <= view.left <= width - view.side


def test_windows_wander_over_the_photograph_and_some_are_mirrored():
    views = [base.window("coffee", 128, lap, rng_of(0, lap)) for lap in range(12)]
    assert len({(view.top // 20, view.left // 20) for view in views}) > 8
    assert {view.mirrored for view in views} == {True, False}
    ramp = np.arange(64, dtype=np.float32)[None].repeat(64, axis=0)
    plain, mirrored = (base.Window(0, 0, 64, flag, 32).cut(ramp) for flag in (False, True))
    assert np.array_equal(plain, mirrored[:, ::-1]) and plain[0, 0] == 0.5


# --- mfif -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", mfif.BASES)
def test_each_picture_is_sharp_where_it_is_focused_and_only_there(name):
    size, rng = 128, rng_of(0, name)
    view = base.window(name, size, 0, rng)
    photo = view.cut(demo.base_image(name))
    depth = (
        mfif._normalised(view.cut(base.motorcycle_disparity()))
        if name == "motorcycle"
        else mfif.synthetic_inverse_depth(photo, rng)
    )
    near, far = (base.encode(mfif.defocus(photo, depth, focus, 4.0)) for focus in (0.85, 0.1))
    front, back = depth > 0.75, depth < 0.25
    assert detail(near)[front].mean() > 1.5 * detail(far)[front].mean()
    assert detail(far)[back].mean() > 1.3 * detail(near)[back].mean()
    assert detail(near)[front].mean() > 0.7 * detail(photo)[front].mean()
    assert detail(far)[back].mean() > 0.7 * detail(photo)[back].mean()


def test_a_is_focused_near_and_b_far_by_the_measured_depth():
    for index, pair in enumerate(simulate("mfif", 8, 128, seed=5, bases=("motorcycle",))):
        view = base.window("motorcycle", 128, index, rng_of(5, "mfif", "motorcycle", index))
        disparity = view.cut(base.motorcycle_disparity())
        assert np.array_equal(view.cut(demo.base_image("motorcycle")), pair.reference)
        front, back = disparity > np.percentile(disparity, 80), disparity < np.percentile(disparity, 20)
        front, back = (binary_erosion(mask, iterations=3) for mask in (front, back))  # off the occluding edges
        assert detail(pair.a)[front].mean() > 1.5 * detail(pair.b)[front].mean()
        assert detail(pair.b)[back].mean() > 1.3 * detail(pair.a)[back].mean()


def test_near_and_far_are_registered_to_the_reference():
    for pair in simulate("mfif", 6, 128, seed=2):
        for image in (pair.a, pair.b):
            shift = phase_cross_correlation(image @ LUMA, pair.reference @ LUMA, upsample_factor=10)[0]
            assert np.abs(shift).max() <= 0.2


def test_a_picture_in_focus_everywhere_is_unchanged():
    photo = demo.base_image("coffee")[100:196, 100:196]
    depth = np.full((96, 96), 0.4375, np.float32)  # the middle of a layer
    assert np.array_equal(base.encode(mfif.defocus(photo, depth, 0.4375, 9.0)), photo)


def test_blur_at_one_depth_is_convolution_with_a_disc_in_linear_light():
    photo = demo.base_image("astronaut")[:96, 100:196]
    depth = np.full((96, 96), 0.9375, np.float32)
    radius = 6.0 * (0.9375 - 0.25)
    y, x = np.mgrid[-5:6, -5:6]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    expected = convolve(base.linear_light(photo), (disc / disc.sum())[..., None], mode="mirror")
    assert np.abs(mfif.defocus(photo, depth, 0.25, 6.0) - expected).max() < 1e-5


def test_an_even_scene_stays_even_at_every_depth():
    photo = np.full((64, 64, 3), 120, np.uint8)
    depth = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    assert np.abs(base.encode(mfif.defocus(photo, depth, 0.3, 5.0)).astype(int) - 120).max() <= 1


def test_a_sharp_foreground_neither_bleeds_nor_lets_through():
    photo, depth = np.zeros((64, 64, 3), np.uint8), np.full((64, 64), 0.05, np.float32)
    photo[20:44, 20:44], depth[20:44, 20:44] = 255, 0.9375
    focused = mfif.defocus(photo, depth, 0.9375, 6.0)[..., 0]
    assert focused[depth < 0.5].max() < 1e-4 and focused[depth > 0.5].min() > 0.999
    blurred = mfif.defocus(photo, depth, 0.05, 6.0)[..., 0]
    assert blurred[32, 17] > 0.05 and blurred[32, 22] < 0.95 and blurred[32, 32] == pytest.approx(1.0, abs=1e-4)


# --- mef --------------------------------------------------------------------------------------------------------------


def test_under_is_darker_and_over_is_clipped_more():
    for pair in simulate("mef", 10, 96, seed=1):
        assert (pair.a @ LUMA).mean() + 40 < (pair.b @ LUMA).mean()
        assert (pair.b == 255).mean() > (pair.a == 255).mean()
        assert (pair.a @ LUMA).mean() < (pair.reference @ LUMA).mean() + 10


def test_the_two_exposures_are_monotone_functions_of_each_other():
    for pair in simulate("mef", 5, 128, seed=3):
        held = (pair.a > 5) & (pair.b < 250)
        assert held.mean() > 0.2
        assert spearmanr(pair.a[held], pair.b[held]).statistic > 0.95


def test_each_exposure_holds_what_the_other_has_lost():
    for pair in simulate("mef", 5, 128, seed=3):
        burnt = (pair.b >= 250).all(axis=-1)
        dark = (pair.a @ LUMA) < 25
        burnt = binary_erosion(burnt, iterations=2)
        assert detail(pair.a)[burnt].mean() > 3 * detail(pair.b)[burnt].mean()
        assert detail(pair.b)[dark].mean() > 3 * detail(pair.a)[dark].mean()


def test_a_stop_doubles_the_light_and_the_well_clips_it():
    rng, patch = np.random.default_rng(0), np.full((64, 64, 3), 0.1, np.float32)
    for stops, signal in ((0.0, 0.1), (1.0, 0.2), (2.0, 0.4), (5.0, 1.0)):
        mean = mef.expose(patch, stops, rng).mean()
        assert mean == pytest.approx(mef.respond(np.array([signal])).mean(), abs=1.5)


def test_sensor_noise_is_that_of_photons_and_read_out():
    rng, level = np.random.default_rng(0), 0.2
    codes = mef.expose(np.full((256, 256, 3), level, np.float32), 0.0, rng).astype(float)
    slope = (float(mef.respond(np.array([level + 0.02]))[0]) - float(mef.respond(np.array([level - 0.02]))[0])) / 0.04
    expected = slope * np.sqrt(level * mef.FULL_WELL + mef.READ_NOISE**2) / mef.FULL_WELL
    assert np.hypot(expected, 12**-0.5) == pytest.approx(codes.std(), rel=0.1)


def test_the_response_is_monotone_and_spans_all_codes():
    codes = mef.respond(np.linspace(0, 1, 5000)).astype(int)
    assert codes[0] == 0 and codes[-1] == 255 and (np.diff(codes) >= 0).all()


# --- vif --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kelvin", [255.0, 290.0, 330.0])
def test_band_radiance_is_plancks(kelvin):
    def planck(um, t):
        return um**-5 / np.expm1(14387.77 / (um * t))

    expected = quad(planck, 8, 14, (kelvin,))[0] / quad(planck, 8, 14, (300.0,))[0]
    assert vif.band_radiance(np.array([kelvin]))[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("index", range(8))
def test_warm_bodies_shine_in_infrared_and_hide_in_the_visible(index):
    size, rng = 128, rng_of(0, "bodies", index)
    name = vif.BASES[index % len(vif.BASES)]
    photo = base.window(name, size, index, rng).cut(demo.base_image(name))
    bodies, kinds = vif.warm_bodies(size, rng)
    body, away = bodies.cover > 0.9, bodies.cover < 0.01
    around = binary_dilation(body, iterations=8) & away
    assert kinds and 0.005 < body.mean() < 0.5
    infrared = vif.thermal(photo, bodies, rng_of(0, 1)).astype(float)
    assert infrared[body].mean() > infrared[around].mean() + 40
    visible, empty = (
        vif.dusk(photo, vif.Bodies(cover, bodies.kelvin), rng_of(0, 1)) @ LUMA
        for cover in (bodies.cover, 0 * bodies.cover)
    )
    assert abs((visible - empty)[body].mean()) < 8
    assert (visible @ np.ones(size)).mean() / size < 90


def test_infrared_sees_little_of_the_paint_that_the_visible_shows():
    photo = demo.base_image("coffee")[10:138, 10:138]  # wood grain
    nobody = vif.Bodies(np.zeros((128, 128), np.float32), np.full((128, 128), 300.0, np.float32))
    infrared = vif.thermal(photo, nobody, rng_of(0, 0))
    # Both stretched to unit deviation, so that contrast does not count, only where it lies.
    fine_ir, fine_vis = (detail(image / image.std())[8:-8, 8:-8].mean() for image in (infrared, photo))
    assert fine_ir < 0.7 * fine_vis


def test_infrared_and_visible_show_the_same_places():
    def likeness(one, other):
        return np.corrcoef(np.sqrt(detail(one)).ravel(), np.sqrt(detail(other)).ravel())[0, 1]

    pairs = list(simulate("vif", 12, 128, seed=0))
    aligned = np.mean([likeness(pair.a, pair.b) for pair in pairs])
    assert aligned > 2 * max(
        np.mean([likeness(pair.a, pair.b[:, ::-1]) for pair in pairs]),
        np.mean([likeness(pair.a, np.roll(pair.b, 6, axis=1)) for pair in pairs]),
    )


def test_detector_noise_is_the_stated_netd(monkeypatch):
    monkeypatch.setattr(vif, "_gain_control", lambda signal: signal)
    nobody = vif.Bodies(np.zeros((256, 256), np.float32), np.full((256, 256), 300.0, np.float32))
    signal = vif.thermal(np.full((256, 256, 3), 128, np.uint8), nobody, rng_of(0))
    noise = np.diff(signal, n=2, axis=0).std() / 6**0.5  # down a column: neither drift nor column noise is left
    per_kelvin = np.diff(vif.band_radiance(np.array([299.0, 301.0])))[0] / 2
    assert noise / per_kelvin == pytest.approx(0.070, rel=0.05)


def test_a_warmer_body_is_a_brighter_one():
    cover = np.zeros((64, 64), np.float32)
    cover[20:40, 10:25] = cover[20:40, 40:55] = 1
    kelvin = np.full((64, 64), 300.0, np.float32)
    kelvin[:, 32:] = 315.0
    infrared = vif.thermal(demo.base_image("camera")[:64, :64], vif.Bodies(cover, kelvin), rng_of(0, 0))
    assert infrared[25:35, 45:50].mean() > infrared[25:35, 15:20].mean() + 15
