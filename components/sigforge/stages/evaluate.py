"""Stage ``evaluate``: the fine-tuned network, the trained systems and every baseline, scored on the test pairs."""

import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sigforge.core.colour import describe
from sigforge.core.device import pick_device
from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.core.images import write_image
from sigforge.core.progress import progress
from sigforge.dataset.corpus import corpora, fused_by_all
from sigforge.dataset.tables import Pair, read_pairs
from sigforge.dataset.tasks import OURS
from sigforge.evaluation.both import both_ranks
from sigforge.evaluation.corpus_scores import FOLDER as SCORES
from sigforge.evaluation.corpus_scores import score_methods
from sigforge.evaluation.references import copies, references_last
from sigforge.evaluation.score_rows import ScoreRow, write_scores
from sigforge.methods.apply import fuse_files
from sigforge.methods.systems.method import method_of_system, tabled_systems
from sigforge.methods.trained import TrainedMethod, get_trained
from sigforge.methods.weights import MODEL, model_fingerprint
from sigforge.stages._base import StageContext, key_of, main, open_folder


def run(context: StageContext) -> None:
    """Fuse the test pairs, score every method on them and write the tables."""
    params, task = context.params, context.task
    manifest, model = context.folder("ingest") / "pairs.parquet", context.folder("finetune") / MODEL
    pairs = [pair for pair in read_pairs(manifest) if pair.split == "test"]
    if not pairs:
        raise UserError(f"no test pair of {task}; raise 'ingest.{task}.splits.test' or give more pairs")
    systems = tabled_systems(context.folder("systems"), context.folder("transfer"))
    folder = open_folder(context.folder(), key_of(code=["sigforge.evaluation.corpus_scores"]))
    others = corpora(context.folder("fuse"))
    pairs = fused_by_all(pairs, others)
    device = str(pick_device(params.compute.device).torch)
    networks: dict[str, tuple[Path, TrainedMethod]] = {OURS: (model, get_trained(OURS))}
    networks |= {name: (path, method_of_system(name)) for name, path in systems.items()}
    drop_others(folder, networks)
    fused = {name: fuse_pairs(folder / name, *network, pairs, context, device) for name, network in networks.items()}
    fused |= others
    with progress(context.name, len(fused) * len(pairs)) as bar:
        rows = score_methods(folder, fused, pairs, params.evaluate.chosen, workers=params.compute.workers, bar=bar)
    write_scores(folder / "metrics.parquet", rows)
    summary = summarise(rows, task, len(pairs), model_fingerprint(model))
    write_atomic(folder / "summary.json", json.dumps(summary, indent=1))
    for method, values in summary["methods"].items():
        for metric, value in values.items():
            if value is not None:
                context.ledger.value(f"{method}/{metric}", value)
    for method, value in summary["both"].items():
        context.ledger.value(f"{method}/both", value)
    context.ledger.file(folder / "summary.json", "tables")
    context.ledger.dataset(f"{task} pairs", manifest)


def drop_others(folder: Path, networks: Iterable[str]) -> None:
    """Remove the images of networks that are no longer evaluated."""
    for old in folder.iterdir():
        if old.is_dir() and old.name not in {*networks, SCORES}:
            shutil.rmtree(old)


def fuse_pairs(
    folder: Path, model: Path, method: TrainedMethod, pairs: Sequence[Pair], context: StageContext, device: str
) -> dict[str, Path]:
    """Fuse the test pairs with one network, those that it has not fused yet.

    Args:
        folder: where the images go; emptied if model, pairs or code have changed.
        model: file of the network, which its images depend on.
        method: whose network it is; it is loaded only if something is missing.
        pairs: the test pairs.
        context: of the stage.
        device: ``cpu`` or ``cuda``.

    Returns:
        the file of every pair's image, by pair id.
    """
    sources = [[pair.pair_id, pair.a_sha256, pair.b_sha256] for pair in pairs]
    open_folder(folder, key_of(sources, device, files=[model], code=["sigforge.methods.apply", method.module]))
    made = {pair.pair_id: folder / f"{pair.pair_id}.png" for pair in pairs}
    missing = [pair for pair in pairs if not made[pair.pair_id].exists()]
    fuse = (method.with_weights(model, device=device) if missing else method).fuse
    with progress(f"{context.name} fusing", len(missing)) as bar:
        for pair in missing:
            write_image(made[pair.pair_id], fuse_files(fuse, pair.a_path, pair.b_path, pair.task, device=device))
            bar.advance(note=folder.name)
    return made


def summarise(rows: Sequence[ScoreRow], task: str, count: int, fingerprint: str) -> dict[str, Any]:
    """Means per method and metric, with all that a reader needs to know what they are means of.

    Args:
        rows: of ``metrics.parquet``.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        count: test pairs.
        fingerprint: of our network.

    Returns:
        ``summary.json``. A metric that is undefined (NaN) on one of the images has no mean over all of them: None.
        ``both`` has a number for every row if its metrics were measured; ``notes`` tell methods that are near copies.
    """
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        values[row.method][row.metric].append(row.value)
    means = {method: {name: _mean(found) for name, found in metrics.items()} for method, metrics in values.items()}
    means = {method: means[method] for method in references_last(means)}
    facts = {"task": task, "pairs": count, "colour": describe(task), "model": fingerprint}
    return facts | {"methods": means, "both": both_ranks(means), "notes": list(copies(means))}


def _mean(values: Sequence[float]) -> float | None:
    mean = float(np.mean(values))
    return None if np.isnan(mean) else mean


if __name__ == "__main__":
    sys.exit(main("evaluate", run, sections=("evaluate", "compute")))
