"""Every way to fuse, by one name: classical methods and learned networks.

>>> {"gff", "sigfusion"} <= set(list_methods("vif"))
True
>>> import torch
>>> load("gff").fuse(torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)).shape
torch.Size([1, 1, 32, 32])
"""

import difflib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import OURS, TASKS

if TYPE_CHECKING:
    from sigforge.methods.registry import FusionMethod

MODEL_SUFFIX = ".safetensors"

# This package is imported by every network of it, so what only fusing by name needs is imported inside the functions.


def list_methods(task: str | None = None) -> tuple[str, ...]:
    """Names of all methods, or of those meant for one task, sorted.

    Raises:
        UserError: the task is unknown.
    """
    from sigforge.methods import registry as baselines

    learned = (name for name, method in _learned().items() if task is None or task in method.tasks)
    return tuple(sorted([*baselines.list_methods(task), *learned]))


def get_method(name: str) -> "FusionMethod":
    """What is known of a method; a learned one fuses only once :func:`load` has given it weights.

    Raises:
        UserError: no method has this name; the message suggests the nearest.
    """
    from sigforge.methods import registry as baselines

    names = list_methods()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(names)}"
        raise UserError(f"unknown method {name!r}: {advice}")
    return _learned().get(name) or baselines.get_method(name)


def load(name: str | Path, task: str | None = None, *, device: str = "cpu") -> "FusionMethod":
    """A method whose ``fuse(a, b)`` maps two batches (B, 1, H, W) in [0, 1] to their fusion.

    Args:
        name: from :func:`list_methods`, or the ``.safetensors`` file of a trained fusion network, SigFusion's or a
            system's.
        task: whose network it is where each task has its own: ``sigfusion``'s lies in ``data/finetune/<task>``, those
            of the mission's systems in ``data/systems/<task>``, those published by others are imported by ``sigforge
            weights import``. If not said, the first the method serves.
        device: where a learned network runs; classical methods run where their images are.

    Raises:
        UserError: no such method, or no such model file; one line says how to get it.
    """
    if Path(name).suffix != MODEL_SUFFIX and name != OURS:
        method = get_method(str(name))
        return _with_weights(method, task, device) if method.kind == "learned" else method
    from sigforge.methods.sigfusion.fusion import load_fusion
    from sigforge.methods.systems.trained import system_in

    path = trained_model(task or "vif") if name == OURS else Path(name)
    if system := name != OURS and system_in(path):
        return replace(system.with_weights(path, device=device), name=str(name))
    net = load_fusion(path).to(device)
    return replace(get_method(OURS), name=str(name), function=lambda sources: net.fuse(*sources))


def trained_model(task: str) -> Path:
    """The fine-tuned fusion network of a task.

    Raises:
        UserError: it has not been trained yet.
    """
    path = Path("data/finetune") / task / f"model{MODEL_SUFFIX}"
    if not path.is_file():
        raise UserError(f"{path}: no such model: run 'dvc repro finetune@{task}', or give a {MODEL_SUFFIX} file")
    return path


@cache
def _learned() -> dict[str, "FusionMethod"]:
    from sigforge.methods.published.registry import get_published, list_published
    from sigforge.methods.registry import FusionMethod
    from sigforge.methods.systems.trained import get_system, list_systems

    sigfusion = FusionMethod(
        OURS,
        _needs_weights,
        TASKS,
        paper="Wang et al., SigFusion, AAAI",
        year=2026,
        n_sources=(2, 2),
        kind="learned",
        equation="F = SigFormer^-1(W * [subbands of A, subbands of B])",
        notes="trained per task on synthetic pairs, then fine-tuned on real ones; size and cost by default parameters",
        parameters=222_386,
        flops=24_181_335_552,
    )
    systems = {name: get_system(name) for name in list_systems()}
    return {sigfusion.name: sigfusion, **systems, **{name: get_published(name) for name in list_published()}}


def _with_weights(method: "FusionMethod", task: str | None, device: str) -> "FusionMethod":
    from sigforge.methods.published.checkpoints import load_published
    from sigforge.methods.systems.trained import TrainedSystem, load_system

    if isinstance(method, TrainedSystem):
        return load_system(method, task, device=device)
    return load_published(method, task, device=device)


def _needs_weights(sources: object) -> None:
    raise UserError(f"{OURS} fuses with trained weights: use sigforge.models.load('{OURS}', task)")
