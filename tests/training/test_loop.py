import itertools
import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sigforge.core.device import Device, pick_device
from sigforge.core.errors import UserError
from sigforge.training.checkpoint import NAME, Checkpoint
from sigforge.training.config import TrainConfig
from sigforge.training.loop import _update, fit, learning_rate, make_optimizer

CPU = Device(torch.device("cpu"))


def batches(steps):
    def start_at(first):
        for step in range(first, steps):
            generator = torch.Generator().manual_seed(step)
            x = torch.randn(16, 4, generator=generator)
            yield x, x @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]])

    return start_at


def run(folder, config, *, stop_at=None, poison=None, norm=nn.Identity):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), norm(8), nn.GELU(), nn.Linear(8, 1))

    def losses(batch):
        x, y = batch
        return {"loss": nn.functional.mse_loss(model(x), y)}

    def progress(step, values):
        if stop_at == step:
            raise KeyboardInterrupt
        if poison == step:
            with torch.no_grad():
                model[0].weight.fill_(math.nan)

    history = fit(model, batches(config.steps), losses, config, folder=folder, device=CPU, progress=progress)
    return model, history


@pytest.fixture
def config():
    return TrainConfig(
        steps=30, lr=0.02, checkpoint_every=8, log_every=5, schedule="cosine", warmup=3, rates={"3": 0.5}
    )


def test_learns(tmp_path, config):
    _, history = run(tmp_path, config)
    losses = [row.value for row in history if row.name == "loss"]
    assert [row.step for row in history] == [0, 5, 10, 15, 20, 25, 29]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("stop_at", [3, 12, 29])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, config, stop_at):
    straight, expected = run(tmp_path / "straight", config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", config, stop_at=stop_at)
    resumed, history = run(tmp_path / "broken", config)
    assert all(torch.equal(x, y) for x, y in zip(straight.parameters(), resumed.parameters(), strict=True))
    assert history == expected


def test_batch_statistics_survive_an_interruption(tmp_path, config):
    straight, _ = run(tmp_path / "straight", config, norm=nn.BatchNorm1d)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", config, stop_at=12, norm=nn.BatchNorm1d)
    resumed, _ = run(tmp_path / "broken", config, norm=nn.BatchNorm1d)
    own = resumed.state_dict()
    assert float(own["1.running_mean"].abs().sum()) > 0
    assert all(torch.equal(value, own[name]) for name, value in straight.state_dict().items())


def test_resume_does_not_start_over(tmp_path, config):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, config, stop_at=20)
    steps = []
    model, _ = model_and_optimizer(config)
    fit(
        model,
        batches(30),
        lambda batch: {"loss": nn.functional.mse_loss(model(batch[0]), batch[1])},
        config,
        folder=tmp_path,
        device=CPU,
        progress=lambda step, values: steps.append(step),
    )
    assert steps == list(range(16, 30))


def test_nan_stops_with_the_step_and_keeps_the_checkpoint(tmp_path, config):
    with pytest.raises(UserError, match=r"loss is nan at step 11; lower 'lr'"):
        run(tmp_path, config, poison=10)
    step, history = Checkpoint(tmp_path, *model_and_optimizer(config)).restore()
    assert step == 8 and all(math.isfinite(value) for _, _, value in history)


def model_and_optimizer(config):
    model = nn.Sequential(nn.Linear(4, 8), nn.Identity(), nn.GELU(), nn.Linear(8, 1))
    return model, make_optimizer(model, config)


def test_frozen_parameters_stay(tmp_path):
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    config = TrainConfig(steps=5, lr=0.1)
    fit(
        model,
        batches(5),
        lambda batch: {"loss": nn.functional.mse_loss(model(batch[0]), batch[1])},
        config,
        folder=tmp_path,
        device=CPU,
    )
    assert torch.equal(model[0].weight, before)


def test_a_part_learns_at_its_own_rate():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
    config = TrainConfig(steps=4, lr=0.1, rates={"1": 0.25}, halve_at=(0.5,))
    optimizer = make_optimizer(model, config)
    for step, share in ((0, 1.0), (3, 0.5)):
        before = [parameter.detach().clone() for parameter in model.parameters()]
        _update(model, optimizer, model(torch.ones(2, 4)).square().mean(), config, step)
        moved = [float((new.detach() - old).abs().max()) for new, old in zip(model.parameters(), before, strict=True)]
        if step == 0:  # Adam's first step is its rate, whatever the gradient
            assert moved == pytest.approx([0.1, 0.1, 0.025, 0.025], rel=1e-3)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.025 * share, 0.1 * share])


def test_a_part_of_a_part_and_a_bare_parameter_can_have_a_rate():
    model = nn.ModuleDict({"net": nn.ModuleDict({"head": nn.Linear(2, 1), "body": nn.Linear(2, 2)})})
    model.token = nn.Parameter(torch.zeros(2))
    groups = make_optimizer(model, TrainConfig(rates={"net": 0.5, "net.head": 0.1, "token": 2.0})).param_groups
    sizes = {group["rate"]: [tuple(value.shape) for value in group["params"]] for group in groups}
    assert sizes == {0.5: [(2, 2), (2,)], 0.1: [(1, 2), (1,)], 2.0: [(2,)]}


def test_a_rate_for_a_part_that_is_not_there_or_frozen():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
    with pytest.raises(UserError, match=r"'rates' names 'head', which is no part to train; choose from \['0', '1'\]"):
        make_optimizer(model, TrainConfig(rates={"head": 0.1}))
    model[1].requires_grad_(False)
    with pytest.raises(UserError, match=r"'rates' names '1'.* choose from \['0'\]"):
        make_optimizer(model, TrainConfig(rates={"1": 0.1}))
    with pytest.raises(ValidationError, match="greater than 0"):
        TrainConfig(rates={"1": 0})


def test_checkpoint_is_safetensors_and_leaves_nothing_half_written(tmp_path, config):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, config, stop_at=20)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert b"pickle" not in (tmp_path / NAME).read_bytes()[:200]


def test_learning_rate_warms_up_and_falls():
    config = TrainConfig(steps=100, lr=1.0, warmup=10, schedule="cosine", final_lr=0.1)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0)
    assert all(x >= y for x, y in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_missing_gpu_is_said_in_one_line():
    with pytest.raises(UserError, match=r"compute\.device.*no GPU"):
        pick_device("cuda")
    assert pick_device("auto") == CPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_auto_is_bf16_on_a_gpu():
    device = pick_device("auto", "auto")
    assert device.torch.type == "cuda" and device.bf16
