"""Checkpoints of a running training: one safetensors file with weights, optimiser state and history."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sigforge.core.files import write_atomic

NAME = "checkpoint.safetensors"


class Checkpoint:
    """Saves and restores ``model`` and ``optimizer`` in ``folder``; loading never unpickles."""

    def __init__(self, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.path = folder / NAME
        self.model, self.optimizer = model, optimizer

    def save(self, step: int, history: list[tuple[int, str, float]]) -> None:
        """Record that ``step`` steps are done; replaces the previous checkpoint in one rename."""
        tensors = {f"model.{name}": value for name, value in self._changing().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, save(tensors, {"step": str(step), "history": json.dumps(history)}))

    def restore(self) -> tuple[int, list[tuple[int, str, float]]]:
        """The number of finished steps and their history; 0 and nothing if there is no checkpoint."""
        if not self.path.exists():
            return 0, []
        with safe_open(str(self.path), framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        own = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        self.model.load_state_dict(own, strict=False)
        self._restore_optimizer({name: value for name, value in tensors.items() if name.startswith("optimizer.")})
        return int(metadata["step"]), [tuple(row) for row in json.loads(metadata["history"])]

    def remove(self) -> None:
        """Forget the run: its result has been written."""
        self.path.unlink(missing_ok=True)

    def _changing(self) -> dict[str, Tensor]:
        """What training moves: parameters that are not frozen, and buffers such as batch statistics."""
        frozen = {name for name, value in self.model.named_parameters() if not value.requires_grad}
        return {name: value for name, value in self.model.state_dict().items() if name not in frozen}

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
