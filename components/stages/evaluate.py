"""Stage ``evaluate``: the fine-tuned network and every baseline, scored on the task's test pairs."""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from components.colour import describe, luma
from components.corpus import corpora, fused_by_all
from components.device import pick_device
from components.errors import UserError
from components.files import atomic_path, write_atomic
from components.fusing import fuse_files
from components.images import read_image, write_image
from components.manifest import Pair, read_pairs
from components.metrics import score
from components.models.fusion import load_fusion
from components.models.weights import model_fingerprint
from components.progress import progress
from components.runner import run_units
from components.stages.base import Context, key_of, main, open_folder
from components.stages.trained import MODEL

OURS = "sigfusion"
SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("subtask", pa.string()),
        ("method", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)


def run(context: Context) -> None:
    """Fuse the test pairs, score every method on them and write the tables."""
    params, task = context.params, context.task
    manifest, model = context.folder("ingest") / "pairs.parquet", context.folder("finetune") / MODEL
    pairs = [pair for pair in read_pairs(manifest) if pair.split == "test"]
    if not pairs:
        raise UserError(f"no test pair of {task}; raise 'ingest.{task}.splits.test' or give more pairs")
    folder = open_folder(context.folder(), key_of(params.evaluate, files=[manifest, model], code=("models", "metrics")))
    others = corpora(context.folder("fuse"))
    pairs = fused_by_all(pairs, others)
    fused = {OURS: fuse_ours(folder / OURS, model, pairs, context)} | others
    units = [(pair, method, paths[pair.pair_id]) for method, paths in fused.items() for pair in pairs]
    rows: list[dict] = []
    work = partial(score_image, metrics=params.evaluate.metrics)
    with progress(context.name, len(units)) as bar:
        for row in run_units(work, units, workers=params.compute.workers if len(units) > 100 else 1):
            rows += row
            bar.advance()
    rows.sort(key=lambda row: tuple(row[name] for name in ("method", "metric", "pair_id")))
    with atomic_path(folder / "metrics.parquet") as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)
    summary = summarise(rows, task, len(pairs), model_fingerprint(model))
    write_atomic(folder / "summary.json", json.dumps(summary, indent=1))
    for method, values in summary["methods"].items():
        for metric, value in values.items():
            if value is not None:
                context.ledger.value(f"{method}/{metric}", value)
    context.ledger.file(folder / "summary.json", "tables")
    context.ledger.dataset(f"{task} pairs", manifest)


def fuse_ours(folder: Path, model: Path, pairs: Sequence[Pair], context: Context) -> dict[str, Path]:
    """Fuse the test pairs with the fine-tuned network; pair id to image."""
    compute = context.params.compute
    device = pick_device(compute.device).torch
    net = load_fusion(model).to(device)
    made = {}
    with progress(f"{context.name} fusing", len(pairs)) as bar:
        for pair in pairs:
            made[pair.pair_id] = folder / f"{pair.pair_id}.png"
            write_image(
                made[pair.pair_id], fuse_files(net.fuse, pair.a_path, pair.b_path, pair.task, device=str(device))
            )
            bar.advance()
    return made


def score_image(unit: tuple[Pair, str, Path], *, metrics: Sequence[str]) -> list[dict]:
    """All metrics of one fused image, on luma of the final 8-bit files."""
    pair, method, path = unit
    planes = [_grey(source) for source in (path, pair.a_path, pair.b_path)]
    values = score(*planes, metrics=tuple(metrics))
    facts = {"pair_id": pair.pair_id, "subtask": pair.subtask, "method": method}
    return [facts | {"metric": name, "value": float(value[0])} for name, value in values.items()]


def summarise(rows: Sequence[dict], task: str, count: int, fingerprint: str) -> dict:
    """Means per method and metric, with all that a reader needs to know what they are means of.

    A metric that is undefined (NaN) on one of the images has no mean over all of them: None.
    """
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        values[row["method"]][row["metric"]].append(row["value"])
    means = {method: {name: _mean(found) for name, found in metrics.items()} for method, metrics in values.items()}
    return {"task": task, "pairs": count, "colour": describe(task), "model": fingerprint, "methods": means}


def _mean(values: Sequence[float]) -> float | None:
    mean = float(np.mean(values))
    return None if np.isnan(mean) else mean


def _grey(path: Path | str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(luma(read_image(path)[0]), dtype=np.float32))[None, None]


if __name__ == "__main__":
    sys.exit(main("evaluate", run, sections=("evaluate", "compute")))
