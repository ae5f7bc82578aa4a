import numpy as np
import pytest
import torch

from sigforge.core.device import Device
from sigforge.core.errors import UserError
from sigforge.core.provenance import closure, module_of
from sigforge.methods.systems.method import list_systems
from sigforge.methods.systems.registry import SYSTEMS, parse_options
from sigforge.methods.systems.training import Material, Samples
from sigforge.training.config import TrainConfig
from sigforge.training.loop import fit

CPU = Device(torch.device("cpu"))
RUN = {"steps": 8, "batch": 2, "crop": 32, "lr": 3e-3, "log_every": 1}
SMALL = {
    "select": {"training": RUN},
    "defusion": {"network": {"width": 8, "channels": 1}, "views": RUN | {"lr": 1e-3}},
    "defusion_pp": {"network": {"width": 48, "depth": 1}, "views": RUN, "pairs": RUN},
    "emma": {"network": {"widths": [8, 8, 8, 8]}, "senses": {"width": 2}, "sensing": RUN, "fusion": RUN | {"batch": 1}},
    "refusion_trained": {"training": RUN, "meta_steps": 1, "fusion_steps": 7},
    # While its features move, so does the ground truth made of them: the first steps raise the loss.
    "sspfusion": {"network": {"widths": [8, 8, 16], "blocks": 1}, "structure": RUN | {"steps": 16}, "fusion": RUN},
}
MULTI_MODAL = {"defusion": 1, "defusion_pp": 2, "emma": 2, "refusion_trained": 1, "select": 1, "sspfusion": 2}


def material(task="vif"):
    coarse = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    planes = torch.nn.functional.interpolate(coarse, size=40, mode="bicubic").clamp(0, 1).numpy()
    return Material(task, 7, Samples(lambda i: planes[i, :2], 4), Samples(lambda i: planes[i], 4))


def trainings(name, task="vif", **options):
    torch.manual_seed(0)
    return SYSTEMS.get(name).trainings(parse_options(name, SMALL[name] | options), material(task))


@pytest.mark.parametrize("name", SYSTEMS.names())
def test_what_decides_a_system_is_its_own_folder_and_what_that_imports(name):
    home = module_of(SYSTEMS.get(name).trainings)
    assert home.startswith("sigforge.methods.systems.") and home.endswith(".training")
    own = home.split(".")[3]
    folders = {
        parts[3]
        for parts in (module.split(".") for module in closure(home))
        if parts[2:3] == ["systems"] and len(parts) > 4
    }
    assert folders == ({own, "defusion"} if own == "defusion_pp" else {own})


def test_every_system_that_can_fuse_can_be_trained():
    assert SYSTEMS.names() == list_systems()


@pytest.mark.parametrize("name", SYSTEMS.names())
def test_every_run_lowers_its_loss_on_a_fixed_batch(name, tmp_path):
    parts = []
    for training in trainings(name):
        # ReFusion's first step is a meta step; what it lowers shows only in the steps that follow.
        batch = training.dataset[name == "refusion_trained"]
        batches, folder = [batch] * training.config.steps, tmp_path / training.part
        rows = fit(training.model, lambda _: batches, training.losses, training.config, folder=folder, device=CPU)  # noqa: B023
        values = [row.value for row in rows if row.name == "loss"]
        assert len(values) == training.config.steps and values[-1] < values[0], (training.part, values)
        parts.append(training.part)
    assert parts[-1] == "" and all(parts[:-1]) and len(parts) == MULTI_MODAL[name]


def test_sources_of_one_modality_teach_defusion_pp_nothing_about_modalities():
    (only,) = trainings("defusion_pp", "mfif")
    assert only.part == "" and len(only.model.teachers) == 0


def test_the_second_run_sees_what_the_first_has_learned():
    runs = trainings("sspfusion")
    first = next(runs)
    with torch.no_grad():
        first.model.head.bias.fill_(0.125)
    assert float(next(runs).model.extractor.head.bias.detach()) == 0.125


def test_batches_depend_on_task_part_and_seed():
    one, two = trainings("sspfusion")
    first, second = one.dataset[0][0], two.dataset[0][0]
    assert torch.equal(first, next(trainings("sspfusion")).dataset[0][0])
    assert not torch.equal(first, second)
    assert not torch.equal(first, next(trainings("sspfusion", "mif")).dataset[0][0])


def test_defaults_are_the_papers():
    emma, ssp = parse_options("emma", {}), parse_options("sspfusion", {})
    assert (emma.fusion.batch, emma.fusion.lr, emma.fusion.crop, emma.alpha_2) == (8, 1e-4, 128, 0.1)
    assert emma.fusion.steps == -(-100 * 1083 // 8) and len(emma.fusion.halve_at) == 4
    assert (ssp.fusion.lr, ssp.fusion.crop, ssp.fusion.schedule, ssp.alpha, ssp.beta) == (2e-4, 256, "cosine", 1, 1)
    refusion = parse_options("refusion_trained", {})
    assert (
        refusion.training.steps == 50 * (refusion.meta_steps + refusion.fusion_steps) and refusion.training.batch == 4
    )
    assert parse_options("defusion", {}).views.lr == 1e-3 and parse_options("defusion_pp", {}).views.crop == 224


def test_what_is_said_is_laid_over_the_papers():
    options = parse_options("emma", {"fusion": {"steps": 5}})
    assert (options.fusion.steps, options.fusion.batch, options.sensing.batch) == (5, 8, 64)
    assert parse_options("emma", {"fusion": TrainConfig(steps=3)}).fusion == TrainConfig(steps=3)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("refusion", {}, "unknown system 'refusion': did you mean 'refusion_trained'"),
        ("emma", {"network": {"widths": [7, 8, 8, 8]}}, "network.widths: each must be a multiple of the 8 heads"),
        ("emma", {"sensing": {"halve_at": [1.5]}}, "sensing.halve_at.0: .*less than 1"),
        ("defusion", {"views": {"crop": 100}}, "views.crop: 100 is no multiple of 8"),
        ("sspfusion", {"alfa": 1}, "alfa: unknown key; remove it"),
    ],
)
def test_mistakes_are_one_line(name, given, words):
    with pytest.raises(UserError, match=words) as error:
        parse_options(name, given)
    assert "\n" not in str(error.value)


def test_refusion_needs_two_pairs():
    one = Material("vif", 7, Samples(lambda i: np.zeros((2, 40, 40), np.float32), 1))
    with pytest.raises(UserError, match="splits its training pairs in two and there is 1"):
        next(SYSTEMS.get("refusion_trained").trainings(parse_options("refusion_trained", {}), one))
