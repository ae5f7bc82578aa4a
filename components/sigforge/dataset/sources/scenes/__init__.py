"""Simulated registered pairs for every task, from nothing but the pictures inside the scikit-image wheel.

They make the first run, the tests and the tutorials possible without a download. They are SIMULATED: each module says
by what model, every pair's ``note`` repeats it. No number measured on them speaks about real sensors.

=====  ================================  ===============  ===========================================
task   subtasks                          a, b             model
=====  ================================  ===============  ===========================================
vif                                      ir, vis          Planck radiance, dusk camera
mif    mri-ct, mri-pet, mri-spect        ct|pet|spect,    ellipse head; spin echo, Hounsfield window,
                                         mri              blurred Poisson counts
mfif                                     near, far        thin lens, layered occlusion
mef                                      under, over      radiance, exposure, response curve
=====  ================================  ===============  ===========================================
"""

from collections.abc import Iterator, Sequence
from types import ModuleType

from sigforge.core.errors import UserError
from sigforge.core.seeds import rng_of
from sigforge.dataset.sources import demo
from sigforge.dataset.sources.scenes import mef, mfif, mif, vif
from sigforge.dataset.sources.scenes.base import NOTE, ScenePair

__all__ = ["SIZES", "ScenePair", "bases", "simulate", "subtasks"]

_MODULES: dict[str, ModuleType] = {"vif": vif, "mif": mif, "mfif": mfif, "mef": mef}
SIZES = (64, 256)


def bases(task: str) -> tuple[str, ...]:
    """Names of what a task's pairs are made from: photographs, or heads for ``mif``.

    Give training and test pairs different ones and no picture is in both.

    Raises:
        UserError: unknown task.
    Example:
        >>> bases("mef")
        ('astronaut', 'chelsea', 'coffee', 'motorcycle', 'rocket')
    """
    return _module(task).BASES


def subtasks(task: str) -> tuple[str, ...]:
    """Subtasks of a task; a task without any has the empty one.

    Example:
        >>> subtasks("mif")
        ('mri-ct', 'mri-pet', 'mri-spect')
    """
    return _module(task).SUBTASKS


def simulate(task: str, count: int, size: int, seed: int, *, bases: Sequence[str] | None = None) -> Iterator[ScenePair]:
    """Simulate ``count`` registered pairs of one task.

    Consecutive pairs run through the subtasks, then the bases, then crops of each. The pixels of pair i depend on
    (seed, task, size, i) and on ``bases``, never on ``count`` or on which other pairs are made.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        count: number of pairs, 0 or more.
        size: side of the square pictures in pixels, 64 to 256.
        seed: any integer.
        bases: use only these of :func:`bases`; all when None.
    Raises:
        UserError: unknown task or base, a count below 0, or a size out of range.
    Example:
        >>> pair = next(simulate("vif", 1, 96, seed=0))
        >>> pair.pair_id, pair.a_modality, pair.a.shape, pair.b_modality, pair.b.shape
        ('vif-astronaut-00000', 'ir', (96, 96), 'vis', (96, 96, 3))
    """
    module = _module(task)
    chosen = module.BASES if bases is None else tuple(bases)
    unknown = [name for name in chosen if name not in module.BASES]
    if unknown or not chosen:
        named = f"{unknown[0]!r} is unknown" if unknown else "none given"
        raise UserError(f"simulate {task}, bases: {named}; choose from {', '.join(module.BASES)}")
    if count < 0:
        raise UserError(f"simulate {task}, count: {count} is negative; give 0 or more")
    if not SIZES[0] <= size <= SIZES[1]:
        raise UserError(f"simulate {task}, size: {size} px is out of range; choose {SIZES[0]} to {SIZES[1]}")
    return (_pair(task, index, size, seed, chosen) for index in range(count))


def _pair(task: str, index: int, size: int, seed: int, chosen: tuple[str, ...]) -> ScenePair:
    module = _MODULES[task]
    turn, which = divmod(index, len(module.SUBTASKS))
    lap, place = divmod(turn, len(chosen))
    subtask, base = module.SUBTASKS[which], chosen[place]
    scene = module.render(base, size, lap, rng_of(seed, task, base, index), subtask)
    a_modality, b_modality = (subtask.split("-")[1], "mri") if task == "mif" else module.MODALITIES
    origin = demo.ORIGINS.get(base)
    return ScenePair(
        pair_id=f"{subtask or task}-{base}-{index:05d}",
        task=task,
        subtask=subtask,
        a=scene.a,
        b=scene.b,
        a_modality=a_modality,
        b_modality=b_modality,
        base=base,
        reference=scene.reference,
        licence=origin.licence if origin else "CC0-1.0",
        note=NOTE + scene.note,
    )


def _module(task: str) -> ModuleType:
    if task not in _MODULES:
        raise UserError(f"simulate, task: {task!r} is unknown; choose from {', '.join(_MODULES)}")
    return _MODULES[task]
