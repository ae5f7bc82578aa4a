"""Networks that stages of this project train, as fusion methods: SigFusion's own and the systems of other papers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sigforge.core.errors import UserError
from sigforge.core.provenance import module_of
from sigforge.dataset.tasks import OURS, TASKS
from sigforge.methods.registry import FusionMethod, get_method


def _no_reader(path: Path) -> nn.Module:
    raise NotImplementedError(f"{path}: the method has no reader of model files")


@dataclass(frozen=True)
class TrainedMethod(FusionMethod):
    """A network that a stage trains for each task, as a fusion method; it fuses once it has weights.

    Args:
        build: makes the network as it is by default, not trained.
        read: gives the network of a model file; its ``fuse`` takes two batches (B, 1, H, W) in [0, 1].
        file_kind: what the model file says that it holds.
        place: of the model file in a project's folder, with ``{task}`` in it.
        mend: what to do where there is none, with ``{task}`` in it.
    """

    build: Callable[[], nn.Module] = nn.Module
    read: Callable[[Path], nn.Module] = _no_reader
    file_kind: str = ""
    place: str = ""
    mend: str = ""

    @property
    def module(self) -> str:
        """The module of the network."""
        return module_of(self.build)

    def ready(self, task: str | None = None, *, device: str = "cpu") -> "TrainedMethod":
        """The method with the weights that were trained for a task.

        Raises:
            UserError: it has not been trained for the task; says how to.
        """
        task = task or TASKS[0]
        path = Path(self.place.format(task=task))
        if not path.is_file():
            raise UserError(f"{path}: no such model: {self.mend.format(task=task)}")
        return self.with_weights(path, device=device)

    def with_weights(self, path: Path, *, device: str = "cpu") -> "TrainedMethod":
        """The method with the weights of a model file.

        Raises:
            UserError: no such file, or another network's.
        """
        net: Any = self.read(path).to(device)
        return replace(self, function=lambda sources: net.fuse(*sources))


def get_trained(name: str) -> TrainedMethod:
    """A method that stages of this project train.

    Raises:
        UserError: there is none of this name, or it is of another kind.
    """
    method = get_method(name)
    if not isinstance(method, TrainedMethod):
        raise UserError(f"{name!r} is not trained here: choose a system, or {OURS!r}")
    return method


def untrained(name: str) -> Callable[[Tensor], Tensor]:
    """What stands in the place of a trained network's ``fuse`` until it has weights: says how to get them.

    Example:
        >>> untrained("emma")(Tensor())
        Traceback (most recent call last):
        sigforge.core.errors.UserError: emma fuses with trained weights: use sigforge.models.load('emma', task)
    """

    def needs_weights(sources: Tensor) -> Tensor:
        raise UserError(f"{name} fuses with trained weights: use sigforge.models.load('{name}', task)")

    return needs_weights
