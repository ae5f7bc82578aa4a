"""Few real pairs: does a network that first saw synthetic pairs fuse better, at equal total steps?

The network is the head alone (system ``select``), the smallest that fuses. Both arms see the same crops of real pairs
for their last steps; the one arm sees synthetic pairs before, the other more crops of the same few real pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sigforge.core.device import Device, pick_device
from sigforge.core.errors import UserError
from sigforge.core.seeds import SeedNames, rng_of, seed_of
from sigforge.evaluation.both import both_ranks
from sigforge.evaluation.statistics import bootstrap_interval
from sigforge.methods.sigfusion.training import Supervision, explained_losses
from sigforge.methods.systems.select.network import SelectFusion
from sigforge.methods.systems.select.options import SelectOptions
from sigforge.metrics.registry import BOTH, PAPER, get_metric
from sigforge.metrics.score import score
from sigforge.training.config import TrainConfig
from sigforge.training.crops import CropBatches, batches_from
from sigforge.training.loop import fit

ARMS = ("none", "synthetic")
"""What the network saw before the real pairs."""

MEASURED = (*PAPER, *BOTH)

PairOfPlanes = np.ndarray
"""Lumas (2, H, W) of a pair, uint8, or float32 in [0, 1]."""


@dataclass(frozen=True)
class FewShotPlan:
    """How the test is done.

    Attributes:
        counts: real pairs to fine-tune on.
        steps: of both arms, in all.
        first: part of the steps that the one arm spends on synthetic pairs.
        seeds: repetitions, each with other real pairs and crops.
        batch, crop: crops per step and their side.
        lr: peak learning rate; it falls as a cosine over all steps.
    """

    counts: tuple[int, ...] = (5, 20, 80)
    steps: int = 300
    first: float = 0.5
    seeds: int = 3
    batch: int = 4
    crop: int = 88
    lr: float = 2e-3

    @property
    def config(self) -> TrainConfig:
        """Of either arm."""
        every = {"checkpoint_every": self.steps, "log_every": self.steps}
        cosine = {"lr": self.lr, "warmup": min(20, self.steps // 4), "schedule": "cosine"}
        return TrainConfig(steps=self.steps, batch=self.batch, crop=self.crop, **cosine, **every)


@dataclass(frozen=True)
class FewShotValue:
    """One metric of one test pair, fused by a network of one arm, seed and count."""

    count: int
    arm: str
    seed: int
    pair: int
    metric: str
    value: float


@dataclass(frozen=True)
class FewShotGain:
    """What synthetic pairs bring in one metric, at one count of real pairs.

    Attributes:
        count: real pairs.
        metric: its name.
        none, synthetic: means over test pairs and seeds.
        low, high: 95 % interval of the difference, by resampling test pairs.
    """

    count: int
    metric: str
    none: float
    synthetic: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval leaves out zero, in the metric's own direction; else ``same``."""
        if self.low <= 0 <= self.high:
            return "same"
        return "better" if (self.low > 0) == get_metric(self.metric).higher_is_better else "worse"


class TwoPhases(Dataset[tuple[Tensor, Tensor]]):
    """Synthetic crops up to step ``first``, crops of real pairs from there on."""

    def __init__(self, synthetic: CropBatches | None, real: CropBatches, first: int) -> None:
        self.synthetic, self.real, self.first = synthetic, real, first

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step."""
        if step < self.first and self.synthetic is not None:
            return self.synthetic[step]
        return self.real[step]


def few_shot(
    task: str,
    synthetic: Sequence[PairOfPlanes],
    real: Sequence[PairOfPlanes],
    tests: Sequence[PairOfPlanes],
    plan: FewShotPlan,
    *,
    seed: int = 0,
    advance: Callable[[str], None] = lambda note: None,
) -> Iterator[FewShotValue]:
    """Train both arms for every count and seed, and score them on the same test pairs.

    Args:
        task: whose loss is trained.
        synthetic: pairs for the first steps of the one arm.
        real: training pairs, of which each seed draws its few.
        tests: pairs that nothing was trained on.
        plan: how.
        seed: of all draws.
        advance: called after each network with a word on it.

    Raises:
        UserError: fewer real pairs than the largest count, or no synthetic or test pair.
    """
    if not len(synthetic) or not len(tests):
        raise UserError(f"few-shot {task}: {len(synthetic)} synthetic and {len(tests)} test pairs: give some of each")
    if max(plan.counts) > len(real):
        raise UserError(
            f"few-shot {task}: {max(plan.counts)} real pairs are asked for, {len(real)} are there: ask less"
        )
    device = pick_device()
    for count in plan.counts:
        for repetition in range(plan.seeds):
            order = rng_of(seed, "few_shot", task, repetition).permutation(len(real))[:count]
            chosen = [real[index] for index in order]
            for arm in ARMS:
                names = (seed, "few_shot", task, count, repetition)
                phases = _phases(task, synthetic if arm == "synthetic" else None, chosen, plan, names)
                net = _trained(task, phases, plan, device, seed_of(*names))
                yield from _scores(net, tests, count, arm, repetition)
                advance(f"{count} real pairs, {arm}, seed {repetition}")


def few_shot_gains(values: Sequence[FewShotValue]) -> list[FewShotGain]:
    """The paired difference between both arms in every metric, seeds averaged first.

    Args:
        values: of all networks; a test pair that is undefined in a metric for either arm is left out there.
    """
    gains = []
    for count in dict.fromkeys(value.count for value in values):
        for metric in dict.fromkeys(value.metric for value in values):
            table = _table([value for value in values if value.count == count and value.metric == metric])
            table = table[np.isfinite(table).all(axis=1)]
            none, synthetic = table.mean(axis=0) if len(table) else (np.nan, np.nan)
            low, high = np.nan, np.nan
            if len(table) > 1:
                low, high = bootstrap_interval(table[:, 1:] - table[:, :1])[:, 0]
            gains.append(FewShotGain(count, metric, float(none), float(synthetic), float(low), float(high)))
    return gains


def both_of_arms(gains: Sequence[FewShotGain], count: int) -> dict[str, float]:
    """``both`` of the two arms among themselves, from 1 (better in all five) to 2 (worse in all); less is better."""
    here = [gain for gain in gains if gain.count == count]
    return both_ranks({arm: {gain.metric: getattr(gain, arm) for gain in here} for arm in ARMS})


def few_shot_markdown(task: str, gains: Sequence[FewShotGain], plan: FewShotPlan) -> str:
    """The table of a task.

    Args:
        task: its name.
        gains: of all counts and metrics.
        plan: how the test was done.

    Returns:
        Markdown: per count and metric both means, the interval of their difference, and what that says.
    """
    first = round(plan.first * plan.steps)
    lines = [
        f"**{task}: the head alone, {plan.steps} steps, {plan.seeds} seeds; {first} of the steps on synthetic pairs**",
        "",
        "| real pairs | metric | none before | synthetic before | difference, 95 % | |",
        "| ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for gain in gains:
        metric = get_metric(gain.metric)
        interval = f"{gain.low:+.4f} to {gain.high:+.4f}"
        values = f"{gain.none:.4f} | {gain.synthetic:.4f} | {interval} | {gain.verdict}"
        lines.append(f"| {gain.count} | {metric.symbol} {metric.arrow} | {values} |")
    for count in dict.fromkeys(gain.count for gain in gains):
        ranks = ", ".join(f"{arm} {rank:.2f}" for arm, rank in both_of_arms(gains, count).items())
        lines += ["", f"`both` of the two among themselves at {count} real pairs (less is better): {ranks}."]
    return "\n".join(lines) + "\n"


def _phases(task: str, synthetic, chosen, plan: FewShotPlan, names: SeedNames) -> TwoPhases:
    options: dict[str, Any] = {"batch": plan.batch, "crop": plan.crop, "turns": task != "vif"}
    real = CropBatches(chosen.__getitem__, len(chosen), names=(*names, "real"), **options)
    before = None
    if synthetic is not None:
        before = CropBatches(synthetic.__getitem__, len(synthetic), names=(*names, "synthetic"), **options)
    return TwoPhases(before, real, round(plan.first * plan.steps))


def _trained(task: str, phases: TwoPhases, plan: FewShotPlan, device: Device, seed: int) -> SelectFusion:
    options = SelectOptions.model_validate({})
    torch.manual_seed(seed)
    net = SelectFusion()
    losses = explained_losses(net.explain, Supervision(options.loss(task), share=options.share))
    with TemporaryDirectory() as folder:
        fit(net, batches_from(phases, plan.steps), losses, plan.config, folder=Path(folder), device=device)
    return net


def _scores(
    net: SelectFusion, tests: Sequence[PairOfPlanes], count: int, arm: str, seed: int
) -> Iterator[FewShotValue]:
    device = next(net.parameters()).device
    for index, planes in enumerate(tests):
        a, b = (_plane(plane).to(device) for plane in planes)
        found = score(net.fuse(a, b), a, b, metrics=MEASURED)
        for metric, value in found.items():
            yield FewShotValue(count, arm, seed, index, metric, float(value[0]))


def _plane(plane: np.ndarray) -> Tensor:
    values = torch.from_numpy(np.ascontiguousarray(plane))[None, None]
    return values.float() / 255 if values.dtype == torch.uint8 else values.float()


def _table(values: Sequence[FewShotValue]) -> np.ndarray:
    """(test pairs, arms): means over seeds."""
    pairs = sorted({value.pair for value in values})
    means = [
        [np.mean([one.value for one in values if one.pair == pair and one.arm == arm]) for arm in ARMS]
        for pair in pairs
    ]
    return np.array(means)
