"""The mission's systems as fusion methods: networks of other papers, which stage ``systems`` trains for each task.

ReFusion's authors published weights, which are the method ``refusion``; what is trained here is ``refusion_trained``.
"""

import difflib
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS
from sigforge.methods.registry import FusionMethod
from sigforge.methods.weights import HISTORY, MODEL, read_kind

FOLDER = Path("data/systems")
SYNTHETIC = "synthetic"
"""Folder, within a system's of stage ``transfer``, of what it learned before it saw a real pair."""
AFTER_SYNTHETIC = "_synth"
"""Ends the name, in all tables, of a system that stage ``transfer`` trained on synthetic pairs first."""


@dataclass(frozen=True)
class TrainedSystem(FusionMethod):
    """A system as a fusion method; it fuses once it has been given the weights that were trained for a task.

    Args:
        module: of ``sigforge.models``; its ``load_<module>`` reads a model file and gives a network whose ``fuse``
            takes two batches (B, 1, H, W).
        network: class of that network in the module.
    """

    module: str = ""
    network: str = ""

    def build(self) -> nn.Module:
        """The network as it is by default, not trained."""
        return getattr(self._code(), self.network)()

    def with_weights(self, path: Path, *, device: str = "cpu") -> "TrainedSystem":
        """The method, ready to fuse.

        Raises:
            UserError: no such file, or another network's.
        """
        net = getattr(self._code(), f"load_{self.module}")(path).to(device)
        return replace(self, function=lambda sources: net.fuse(*sources))

    def _code(self) -> ModuleType:
        # Imported when asked for: some networks have parts that only training needs, which bring its code along.
        return import_module(f"sigforge.methods.systems.{self.module}.network")


def list_systems() -> tuple[str, ...]:
    """Names of the systems, sorted."""
    return tuple(sorted(_SYSTEMS))


def get_system(name: str) -> TrainedSystem:
    """What is known of a system.

    Raises:
        UserError: there is none of this name; the message suggests the nearest.

    Example:
        >>> get_system("emma").year
        2024
    """
    if name not in _SYSTEMS:
        # 'refusion' is nearer to 'defusion', but whoever writes it means the one that is trained here.
        near = [known for known in _SYSTEMS if known.startswith(f"{name}_")] or difflib.get_close_matches(
            name, _SYSTEMS
        )
        advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(list_systems())}"
        raise UserError(f"unknown system {name!r}: {advice}")
    return _SYSTEMS[name]


def system_in(path: Path) -> TrainedSystem | None:
    """The system whose network a model file holds; None if it holds something else.

    Raises:
        UserError: no such file, or not safetensors.
    """
    kind = read_kind(path)
    return next((system for system in _SYSTEMS.values() if system.module == kind), None)


def load_system(system: TrainedSystem, task: str | None = None, *, device: str = "cpu") -> TrainedSystem:
    """The system with the weights that stage ``systems`` trained for a task.

    Args:
        system: as the registry has it.
        task: ``vif`` if none is said.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: it has not been trained for the task; says how to.
    """
    task = task or TASKS[0]
    path = FOLDER / task / system.name / MODEL
    if not path.is_file():
        mend = f"name it under 'systems.{task}' of params.yaml and run 'dvc repro systems@{task}'"
        raise UserError(f"{path}: no such model: {mend}")
    return system.with_weights(path, device=device)


def method_of_system(name: str) -> TrainedSystem:
    """The system behind a method of the tables: its own name, or the one it has after stage ``transfer``.

    Example:
        >>> method_of_system("emma_synth").notes.partition(";")[0]
        'trained on synthetic pairs, then on real ones'
    """
    system = get_system(name.removesuffix(AFTER_SYNTHETIC))
    notes = "trained on synthetic pairs, then on real ones; else as without them"
    return system if system.name == name else replace(system, name=name, notes=notes)


def is_system(name: str) -> bool:
    """Whether a method is one of the systems, with or without stage ``transfer``."""
    return name.removesuffix(AFTER_SYNTHETIC) in _SYSTEMS


def tabled_systems(systems: Path, transfer: Path) -> dict[str, Path]:
    """Name in the tables to model file, of what stages ``systems`` and ``transfer`` trained for a task."""
    again = {f"{name}{AFTER_SYNTHETIC}": path for name, path in trained_systems(transfer).items()}
    return trained_systems(systems) | again


def trained_systems(folder: Path) -> dict[str, Path]:
    """Name to model file of the systems that are finished in a stage's folder for a task."""
    found = {name: folder / name for name in list_systems()}
    return {name: part / MODEL for name, part in found.items() if (part / MODEL).exists() and (part / HISTORY).exists()}


def _needs_weights(sources: Tensor) -> Tensor:
    raise UserError("a system fuses with trained weights: use sigforge.models.load(name, task)")


def _system(name: str, module: str, network: str, paper: str, year: int, notes: str) -> TrainedSystem:
    return TrainedSystem(
        name,
        _needs_weights,
        TASKS,
        paper=paper,
        year=year,
        n_sources=(2, 2),
        kind="learned",
        notes=f"trained here on the task's own pairs; {notes}; size and cost by default parameters",
        symmetric=False,
        parameters=_SIZES[name][0],
        flops=_SIZES[name][1],
        module=module,
        network=network,
    )


# Learned numbers, parts for training included, and operations of fuse(), of the networks as they are by default.
_SIZES = {
    "defusion": (7_687_158, 221_359_693_824),
    "defusion_pp": (11_408_896, 240_690_659_328),
    "emma": (1_517_657, 80_845_209_600),
    "refusion_trained": (137_376, 36_972_134_400),
    "sspfusion": (11_395_570, 1_557_017_502_720),
}

_SYSTEMS = {
    system.name: system
    for system in (
        _system(
            "defusion",
            "defusion",
            "DeFusion",
            "Liang, Jiang, Liu & Ma, Fusion from Decomposition, ECCV",
            2022,
            "learns to split masked views of one image into common and unique parts",
        ),
        _system(
            "defusion_pp",
            "defusion_pp",
            "DeFusionPP",
            "Liang, Jiang, Ma & Liu, DeFusion++, arXiv",
            2024,
            "teachers are the network's own encoder after the single-modal tasks, not ViT-B",
        ),
        _system(
            "emma",
            "emma",
            "UFuser",
            "Zhao et al., Equivariant Multi-Modality Image Fusion, CVPR",
            2024,
            "sensing networks learn from the corpora of stage fuse; rotations are quarter turns",
        ),
        _system(
            "refusion_trained",
            "refusion",
            "ReFusionSystem",
            "Bai et al., ReFusion, IJCV",
            2025,
            "the loss proposal learns from reconstruction by a gradient of second order",
        ),
        _system(
            "sspfusion",
            "sspfusion",
            "SSPFusion",
            "Yang et al., SSPFusion, arXiv",
            2025,
            "layer sizes are ours, the paper gives none",
        ),
    )
}
