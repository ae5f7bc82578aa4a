"""Measuring the fused images of whole corpora; kept per method, so that only what changed is measured again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sigforge.core.colour import luma
from sigforge.core.files import hash_of, sha256_file
from sigforge.core.images import read_image
from sigforge.core.parallel import run_units
from sigforge.core.parquet import schema_metadata
from sigforge.core.progress import Progress
from sigforge.core.provenance import code_hash
from sigforge.dataset.tables import Pair
from sigforge.evaluation.references import REFERENCES, is_reference, reference_images
from sigforge.evaluation.score_rows import ScoreRow, read_scores, write_scores
from sigforge.metrics import Metric, score

FOLDER = "scores"
MANY = 100
"""Images for which starting worker processes pays."""

_MADE_FROM = b"made_from"

Fused = Mapping[str, Path]
"""Pair id to fused image."""


def score_methods(
    folder: Path,
    fused: Mapping[str, Fused],
    pairs: Sequence[Pair],
    metrics: Sequence[Metric],
    *,
    workers: int = 1,
    bar: Progress,
) -> list[ScoreRow]:
    """A row for every method, pair and metric, sorted; for copies and the collage as well.

    Args:
        folder: keeps ``scores/<method>.parquet``; those of other methods, and those of other images, are removed.
        fused: method to its images; copies and collage need none.
        pairs: what to score.
        metrics: by which, in the order of their columns.
        workers: processes.
        bar: is told of every image of a method, measured or kept.
    """
    kept = folder / FOLDER
    kept.mkdir(parents=True, exist_ok=True)
    for stale in kept.glob("*.parquet"):
        if stale.stem not in (*fused, *REFERENCES):
            stale.unlink()
    code = code_hash("sigforge.evaluation.references", *(metric.module for metric in metrics))
    everything: dict[str, Fused | None] = {**fused, **dict.fromkeys(REFERENCES)}
    rows: list[ScoreRow] = []
    pending: dict[str, str] = {}
    for method, images in everything.items():
        made_from = _made_from(images, pairs, metrics, code)
        if (found := _read(kept / f"{method}.parquet", made_from)) is None:
            pending[method] = made_from
            continue
        rows += found
        bar.find(0 if is_reference(method) else len(pairs))
    for method, measured in _measure(pending, everything, pairs, metrics, workers, bar):
        write_scores(kept / f"{method}.parquet", measured, {_MADE_FROM: pending[method]})
        rows += measured
    return _sorted(rows)


def score_image(unit: tuple[Pair, str, Path | None], *, metrics: Sequence[Metric]) -> list[ScoreRow]:
    """All metrics of one fused image, on luma of the final 8-bit files; of a copy or the collage without a file."""
    pair, method, path = unit
    a, b = _luma(pair.a_path), _luma(pair.b_path)
    fused = reference_images(a, b)[method] if path is None else _luma(path)
    values = score(*(torch.from_numpy(plane)[None, None] for plane in (fused, a, b)), metrics=metrics)
    return [ScoreRow(pair.pair_id, pair.subtask, method, name, float(value[0])) for name, value in values.items()]


def _measure(
    pending: Mapping[str, str],
    fused: Mapping[str, Fused | None],
    pairs: Sequence[Pair],
    metrics: Sequence[Metric],
    workers: int,
    bar: Progress,
) -> Iterator[tuple[str, list[ScoreRow]]]:
    """Method by method, as each is complete."""
    units = [(pair, name, (fused[name] or {}).get(pair.pair_id)) for name in pending for pair in pairs]
    work = partial(score_image, metrics=metrics)
    measured: dict[str, list[list[ScoreRow]]] = {method: [] for method in pending}
    for found in run_units(work, units, workers=workers if len(units) > MANY else 1):
        method = found[0].method
        measured[method].append(found)
        if not is_reference(method):
            bar.advance()
        if len(measured[method]) == len(pairs):
            yield method, _sorted(row for one in measured.pop(method) for row in one)


def _sorted(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    return sorted(rows, key=lambda row: (row.method, row.metric, row.pair_id))


def _made_from(images: Fused | None, pairs: Sequence[Pair], metrics: Sequence[Metric], code: str) -> str:
    facts = [[pair.pair_id, pair.a_sha256, pair.b_sha256] for pair in pairs]
    if images is not None:
        facts = [[*known, sha256_file(images[known[0]])] for known in facts]
    return hash_of([facts, [metric.name for metric in metrics], code])


def _read(path: Path, made_from: str) -> list[ScoreRow] | None:
    if not path.exists() or schema_metadata(path).get(_MADE_FROM) != made_from.encode():
        return None
    return read_scores(path)


def _luma(path: Path | str) -> np.ndarray:
    return np.ascontiguousarray(luma(read_image(path)[0]), dtype=np.float32)
