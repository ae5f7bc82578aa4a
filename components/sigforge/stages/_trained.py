"""What the training stages share: resume, progress, history and the ledger."""

from collections.abc import Callable, Iterable
from pathlib import Path

from torch import Tensor, nn
from torch.utils.data import Dataset

from sigforge.core.device import pick_device
from sigforge.core.errors import UserError
from sigforge.core.progress import progress
from sigforge.dataset.tables import Pair
from sigforge.methods.sigfusion.compiled import compile_parts
from sigforge.methods.weights import HISTORY, MODEL, load_weights, save_weights
from sigforge.stages._base import StageContext, open_folder
from sigforge.training.checkpoint import NAME as CHECKPOINT
from sigforge.training.config import TrainConfig
from sigforge.training.crops import batches_from
from sigforge.training.history import read_history, write_history
from sigforge.training.loop import HistoryRow, fit


def training_pairs(pairs: Iterable[Pair], task: str) -> list[Pair]:
    """Those of the split ``train``.

    Raises:
        UserError: there is none.
    """
    if found := [pair for pair in pairs if pair.split == "train"]:
        return found
    raise UserError(f"no training pair of {task}; give 'ingest.{task}' more pairs or smaller val and test fractions")


def train(
    context: StageContext,
    model: nn.Module,
    dataset: Dataset,
    losses: Callable[[object], dict[str, Tensor]],
    config: TrainConfig,
    *,
    key: dict[str, object],
    **facts: object,
) -> Path:
    """Train ``model`` in this stage's folder, or take the finished model that already lies there.

    Args:
        key: see :func:`sigforge.stages._base.open_folder`.
        facts: see :func:`train_in`.

    Returns:
        the folder, with ``model.safetensors`` and ``history.parquet``.
    """
    folder = open_folder(context.folder(), key)
    context.ledger.metrics(train_in(folder, context, model, dataset, losses, config, **facts))
    context.ledger.file(folder / MODEL, "models")
    return folder


def train_in(
    folder: Path,
    context: StageContext,
    model: nn.Module,
    dataset: Dataset,
    losses: Callable[[object], dict[str, Tensor]],
    config: TrainConfig,
    *,
    kind: str,
    architecture: dict,
    kept: nn.Module | None = None,
    validate: Callable[[], dict[str, float]] = dict,
    label: str = "",
) -> list[HistoryRow]:
    """The same in any folder that is there, without a word to the ledger.

    Args:
        kind, architecture: what the model file says of itself.
        validate: named values measured on the trained model; logged at the last step.
        kept: the part of ``model`` that the file holds; all of it by default.
        label: of the progress line; the target's name by default.

    Returns:
        what was logged, now or when the finished model was trained.
    """
    kept = model if kept is None else kept
    if (folder / HISTORY).exists() and (folder / MODEL).exists():
        load_weights(folder / MODEL, kept, kind=kind, config=architecture)
        model.eval()
        return read_history(folder / HISTORY)
    history = _fit(context, model, dataset, losses, config, folder, label or context.name)
    history += [HistoryRow(config.steps, f"val_{name}", value) for name, value in validate().items()]
    save_weights(folder / MODEL, kept, kind=kind, config=architecture)
    write_history(history, folder / HISTORY)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return history


def _fit(
    context: StageContext, model: nn.Module, dataset: Dataset, losses, config, folder, label: str
) -> list[HistoryRow]:
    compute = context.params.compute
    device = pick_device(compute.device, compute.precision)
    # On a CPU the cores are the model's; loader threads would only take them away.
    workers = compute.workers if device.torch.type == "cuda" else 0
    if compute.compile:
        compile_parts(model)
    with progress(label, config.steps) as bar:

        def show(step: int, values: dict[str, Tensor]) -> None:
            if not bar.done:
                bar.find(step)
            bar.advance(note=_loss_note(step, values))

        return fit(
            model,
            batches_from(dataset, config.steps, workers=workers),
            losses,
            config,
            folder=folder,
            device=device,
            progress=show,
        )


def _loss_note(step: int, values: dict[str, Tensor]) -> str:
    # Reading the loss waits for the GPU, so not every step.
    return f"loss {float(values['loss'].detach()):.4g}" if step % 10 == 0 else ""
