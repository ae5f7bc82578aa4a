"""The words that everything else uses: tasks and the modalities of their two sources, splits, our method's name."""

from typing import Literal, get_args

from sigforge.core.errors import UserError

Task = Literal["vif", "mif", "mfif", "mef"]
TASKS: tuple[Task, ...] = get_args(Task)
MULTI_MODAL: tuple[Task, ...] = ("vif", "mif")
"""Tasks whose sources come from two sensors; the others' are two photographs by one camera."""

SPLITS = ("train", "val", "test")
OURS = "sigfusion"
"""The method that the project is about, as the registry and every table name it."""
SIMULATED = "simulated"
"""``source`` of pairs that were simulated, not measured."""

MODALITIES: dict[str, dict[str, tuple[str, str]]] = {
    "vif": {"vif": ("ir", "vis")},
    "mif": {"mri-ct": ("ct", "mri"), "mri-pet": ("pet", "mri"), "mri-spect": ("spect", "mri")},
    "mfif": {"mfif": ("near", "far")},
    "mef": {"mef": ("under", "over")},
}


def modalities(task: str, subtask: str | None = None) -> tuple[str, str]:
    """Return the modality names of sources ``a`` and ``b``.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        subtask: needed where the task has several.

    Raises:
        UserError: an unknown or missing name; the message lists the choices.

    Example:
        >>> modalities("mif", "mri-pet")
        ('pet', 'mri')
    """
    if task not in MODALITIES:
        raise UserError(f"task {task!r} is unknown: choose one of {', '.join(TASKS)}")
    subtasks = MODALITIES[task]
    if subtask is None and len(subtasks) == 1:
        return next(iter(subtasks.values()))
    if subtask not in subtasks:
        raise UserError(f"subtask {subtask!r} of task {task!r} is unknown: choose one of {', '.join(subtasks)}")
    return subtasks[subtask]


def all_modalities(task: str) -> tuple[str, ...]:
    """The modalities of all sub-tasks, each once.

    Example:
        >>> all_modalities("mif")
        ('ct', 'mri', 'pet', 'spect')
    """
    return tuple(dict.fromkeys(name for names in MODALITIES[task].values() for name in names))
