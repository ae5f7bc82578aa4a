"""What the training stages share: resume, progress, history and the ledger."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from torch import Tensor

from sigforge.config.sections import ComputeParams
from sigforge.core.device import pick_device
from sigforge.core.errors import UserError
from sigforge.core.progress import Progress, progress
from sigforge.dataset.tables import Pair
from sigforge.methods.sigfusion.compiled import compile_parts
from sigforge.methods.weights import HISTORY, MODEL, load_weights, save_weights
from sigforge.stages._base import StageContext, open_folder
from sigforge.training.checkpoint import NAME as CHECKPOINT
from sigforge.training.crops import batches_from
from sigforge.training.history import read_history, write_history
from sigforge.training.loop import HistoryRow, fit
from sigforge.training.run import TrainingRun


def training_pairs(pairs: Iterable[Pair], task: str) -> list[Pair]:
    """Those of the split ``train``.

    Raises:
        UserError: there is none.
    """
    if found := [pair for pair in pairs if pair.split == "train"]:
        return found
    raise UserError(f"no training pair of {task}; give 'ingest.{task}' more pairs or smaller val and test fractions")


def train(context: StageContext, run: TrainingRun, *, key: dict[str, object]) -> Path:
    """Train the network of a stage in the stage's folder, or take the finished one that already lies there.

    Args:
        context: of the stage; its ledger is told the history and the model.
        run: what is trained.
        key: see :func:`sigforge.stages._base.open_folder`.

    Returns:
        the folder, with ``model.safetensors`` and ``history.parquet``.

    Raises:
        UserError: the loss is no longer finite.
    """
    folder = open_folder(context.folder(), key)
    context.ledger.metrics(train_in(folder, run, context.params.compute, label=context.name))
    context.ledger.file(folder / MODEL, "models")
    return folder


def train_in(folder: Path, run: TrainingRun, compute: ComputeParams, *, label: str) -> list[HistoryRow]:
    """The same in any folder that is there, without a word to the ledger.

    Args:
        folder: gets model and history, and keeps a checkpoint while the run lasts.
        run: what is trained.
        compute: where.
        label: of the progress line.

    Returns:
        what was logged, now or when the finished model was trained.

    Raises:
        UserError: the loss is no longer finite.
    """
    if (folder / HISTORY).exists() and (folder / MODEL).exists():
        load_weights(folder / MODEL, run.saved, kind=run.kind, config=run.architecture)
        run.model.eval()
        return read_history(folder / HISTORY)
    device = pick_device(compute.device, compute.precision)
    # On a CPU the cores are the model's; loader threads would only take them away.
    batches = batches_from(run.dataset, run.config.steps, workers=compute.workers if device.torch.type == "cuda" else 0)
    if compute.compile:
        compile_parts(run.model)
    with progress(label, run.config.steps) as bar:
        shown = partial(_show, bar)
        history = fit(run.model, batches, run.losses, run.config, folder=folder, device=device, progress=shown)
    history += [HistoryRow(run.config.steps, f"val_{name}", value) for name, value in run.validate().items()]
    save_weights(folder / MODEL, run.saved, kind=run.kind, config=run.architecture)
    write_history(history, folder / HISTORY)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return history


def _show(bar: Progress, step: int, values: dict[str, Tensor]) -> None:
    if not bar.done:
        bar.find(step)
    bar.advance(note=_loss_note(step, values))


def _loss_note(step: int, values: dict[str, Tensor]) -> str:
    # Reading the loss waits for the GPU, so not every step.
    return f"loss {float(values['loss'].detach()):.4g}" if step % 10 == 0 else ""
