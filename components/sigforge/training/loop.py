"""The one training loop: deterministic, resumable, stops on NaN.

What happens at step k depends on the seed and k alone, so a killed run continues from its last checkpoint and ends with
the same weights as one that was never interrupted (bit for bit on the same CPU and thread count).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sigforge.core.device import Device
from sigforge.core.errors import UserError
from sigforge.training.checkpoint import Checkpoint
from sigforge.training.config import TrainConfig

Losses = dict[str, Tensor]
RATE = "rate"
"""Of a group of parameters: the multiple of the learning rate at which it learns."""


@dataclass(frozen=True)
class HistoryRow:
    """One logged value; ``history.parquet`` holds these."""

    step: int
    name: str
    value: float


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable],
    losses: Callable[[Any], Losses],
    config: TrainConfig,
    *,
    folder: Path,
    device: Device,
    progress: Callable[[int, Losses], None] = lambda step, values: None,
) -> list[HistoryRow]:
    """Minimise ``losses(batch)["loss"]`` over the parameters of ``model`` that require gradients.

    Args:
        model: moved to the device and put into training mode.
        batches: first step to an iterable of the batches of that and all later steps.
        losses: batch to named scalars, of which ``loss`` is minimised and all are logged.
        config: steps, learning rate, schedule, checkpoints.
        folder: holds the checkpoint while the run lasts.
        device: where it runs, and in which precision.
        progress: called after every step.

    Returns:
        the logged values, those from before an interruption included.

    Raises:
        UserError: the loss is no longer finite; the last good checkpoint stays.
    """
    model.to(device.torch).train()
    optimizer = make_optimizer(model, config)
    checkpoint = Checkpoint(folder, model, optimizer)
    start, found = checkpoint.restore()
    history = [HistoryRow(*row) for row in found]
    for step, batch in zip(range(start, config.steps), batches(start), strict=False):
        with device.autocast():
            values = losses(batch)
        _update(model, optimizer, values["loss"], config, step)
        if step % config.log_every == 0 or step == config.steps - 1:
            history += [HistoryRow(step, name, float(value.detach())) for name, value in values.items()]
        progress(step, values)
        if (step + 1) % config.checkpoint_every == 0 and step + 1 < config.steps:
            checkpoint.save(step + 1, [(row.step, row.name, row.value) for row in history])
    model.eval()
    return history


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam (the paper's) or AdamW over the trainable parameters, those of each of ``config.rates`` as a group.

    Raises:
        UserError: the model has no such part to train.
    """
    trainable = {name: value for name, value in model.named_parameters() if value.requires_grad}
    groups: dict[str, list[nn.Parameter]] = {part: [] for part in (*config.rates, "")}
    for name, value in trainable.items():
        parts = [part for part in config.rates if f"{name}.".startswith(f"{part}.")]
        groups[max(parts, key=len, default="")].append(value)
    if unknown := [part for part in config.rates if not groups[part]]:
        known = sorted({name.partition(".")[0] for name in trainable})
        raise UserError(f"training: 'rates' names '{unknown[0]}', which is no part to train; choose from {known}")
    rates = config.rates | {"": 1.0}
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    given = [{"params": values, RATE: rates[part]} for part, values in groups.items() if values]
    return kind(given, lr=config.lr, weight_decay=config.weight_decay)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then constant or cosine to ``final_lr``; on top of it the halvings of ``halve_at``.

    Example:
        >>> steps = TrainConfig(steps=4, lr=1.0, halve_at=(0.5, 0.75))
        >>> [learning_rate(step, steps) for step in range(4)]
        [1.0, 1.0, 0.5, 0.25]
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    share = 0.5 ** sum(step >= part * config.steps for part in config.halve_at)
    if config.schedule == "constant":
        return share * config.lr
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return share * (config.final_lr + (config.lr - config.final_lr) * (1 + math.cos(math.pi * done)) / 2)


def _update(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, config: TrainConfig, step: int) -> None:
    if not torch.isfinite(loss):
        raise UserError(
            f"training: loss is {float(loss.detach())} at step {step}; lower 'lr' or check the images of this stage"
        )
    for group in optimizer.param_groups:
        group["lr"] = group[RATE] * learning_rate(step, config)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
