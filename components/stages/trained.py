"""What the training stages share: resume, progress, history and the ledger."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor, nn
from torch.utils.data import Dataset

from components.device import pick_device
from components.files import atomic_path
from components.models.weights import load_weights, save_weights
from components.progress import progress
from components.stages.base import Context, open_folder
from components.training.checkpoint import NAME as CHECKPOINT
from components.training.config import TrainConfig
from components.training.data import batches_from
from components.training.loop import Row, fit

MODEL, HISTORY = "model.safetensors", "history.parquet"
SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])


def train(
    context: Context,
    model: nn.Module,
    dataset: Dataset,
    losses: Callable[[object], dict[str, Tensor]],
    config: TrainConfig,
    *,
    kind: str,
    architecture: dict,
    key: dict[str, object],
    validate: Callable[[], dict[str, float]],
) -> Path:
    """Train ``model`` in this stage's folder, or take the finished model that already lies there.

    Args:
        kind, architecture: what the model file says of itself.
        key: see :func:`components.stages.base.open_folder`.
        validate: named values measured on the trained model; logged at the last step.

    Returns:
        the folder, with ``model.safetensors`` and ``history.parquet``.
    """
    folder = open_folder(context.folder(), key)
    device = pick_device(context.params.compute.device, context.params.compute.precision)
    if (folder / HISTORY).exists() and (folder / MODEL).exists():
        load_weights(folder / MODEL, model, kind=kind, config=architecture)
        history = read_history(folder / HISTORY)
    else:
        history = _fit(context, model, dataset, losses, config, folder, device)
        history += [Row(config.steps, f"val_{name}", value) for name, value in validate().items()]
        save_weights(folder / MODEL, model, kind=kind, config=architecture)
        write_history(history, folder / HISTORY)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    context.ledger.metrics(history)
    context.ledger.file(folder / MODEL, "models")
    return folder


def write_history(history: list[Row], path: Path) -> None:
    """Rows (step, name, value) as Parquet; written last, so it marks a finished training."""
    columns = {name: [getattr(row, name) for row in history] for name in SCHEMA.names}
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=SCHEMA), temporary)


def read_history(path: Path) -> list[Row]:
    """The rows that :func:`write_history` wrote."""
    return [Row(**row) for row in pq.read_table(path).to_pylist()]


def _fit(context: Context, model: nn.Module, dataset: Dataset, losses, config, folder, device) -> list[Row]:
    compute = context.params.compute
    # On a CPU the cores are the model's; loader threads would only take them away.
    workers = compute.workers if device.torch.type == "cuda" else 0
    with progress(context.name, config.steps) as bar:
        return fit(
            model,
            batches_from(dataset, config.steps, workers=workers),
            losses,
            config,
            folder=folder,
            device=device,
            progress=lambda step, values: bar.advance(step + 1 - bar.done, _loss_note(step, values)),
        )


def _loss_note(step: int, values: dict[str, Tensor]) -> str:
    # Reading the loss waits for the GPU, so not every step.
    return f"loss {float(values['loss'].detach()):.4g}" if step % 10 == 0 else ""
