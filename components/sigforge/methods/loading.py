"""A method of any kind by its name or its model file, ready to fuse.

>>> import torch
>>> load("gff").fuse(torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)).shape
torch.Size([1, 1, 32, 32])
"""

from dataclasses import replace
from pathlib import Path

from sigforge.dataset.tasks import OURS
from sigforge.methods.registry import METHODS, FusionMethod, get_method
from sigforge.methods.trained import TrainedMethod, get_trained
from sigforge.methods.weights import check_task, read_kind

MODEL_SUFFIX = ".safetensors"


def load(name: str | Path, task: str | None = None, *, device: str = "cpu") -> FusionMethod:
    """A method whose ``fuse(a, b)`` maps two batches (B, 1, H, W) in [0, 1] to their fusion.

    Args:
        name: from :func:`sigforge.methods.registry.list_methods`, or the ``.safetensors`` file of a trained fusion
            network, SigFusion's or a system's.
        task: whose network it is where each task has its own: ``sigfusion``'s lies in ``data/finetune/<task>``, those
            of systems in ``data/systems/<task>``, those published by others are imported by ``sigforge weights
            import``. If not said, the first the method serves.
        device: where a learned network runs; classical methods run where their images are.

    Raises:
        UserError: no such method; no such model file, with how to get it; a file that was trained for another
            task.
    """
    if Path(name).suffix == MODEL_SUFFIX:
        if task is not None:
            check_task(Path(name), task)
        method = method_in(Path(name)).with_weights(Path(name), device=device)
        return replace(method, name=str(name))
    return get_method(str(name)).ready(task, device=device)


def method_in(path: Path) -> TrainedMethod:
    """The method whose network a model file holds; SigFusion, if the file is none of a method's.

    Raises:
        UserError: no such file, or not safetensors.
    """
    kind = read_kind(path)
    holders = (method for method in METHODS.of(TrainedMethod) if method.file_kind == kind)
    return next(holders, None) or get_trained(OURS)
