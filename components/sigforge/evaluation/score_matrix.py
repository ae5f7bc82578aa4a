"""Scores of many images as one matrix, pair by method by metric, and the files that hold them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sigforge.core.files import atomic_path
from sigforge.core.parquet import parquet_writer
from sigforge.metrics import Metric

PAIRS = 4096
"""Written to a file at a time."""


@dataclass(frozen=True, eq=False)
class ScoreMatrix:
    """Scores of M methods by K metrics on P pairs: eight bytes each, and nothing else grows with the images.

    Args:
        pairs: P names, in the order of the files written.
        methods: M names, likewise.
        metrics: K of them.
        values: float64 (P, M, K); NaN where a metric is undefined.
        scored: bool (P, M); false where a method has no image of a pair that could be scored.

    Example:
        >>> from sigforge.metrics import select_metrics
        >>> scores = ScoreMatrix.empty(["day", "night"], ["gff"], select_metrics("q_g, sd"))
        >>> scores.put(0, 0, (0.7, 40.0))
        >>> scores.scored.ravel().tolist(), len(scores.shared)
        ([True, False], 1)
    """

    pairs: Sequence[str]
    methods: Sequence[str]
    metrics: Sequence[Metric]
    values: np.ndarray
    scored: np.ndarray

    @classmethod
    def empty(cls, pairs: Sequence[str], methods: Sequence[str], metrics: Sequence[Metric]) -> "ScoreMatrix":
        """Room for scores, none there yet.

        Args:
            pairs: ids of the P pairs, in the order of the first axis.
            methods: names of the M methods, the second axis.
            metrics: K of them, the last axis.
        """
        shape = len(pairs), len(methods)
        return cls(pairs, methods, metrics, np.full((*shape, len(metrics)), np.nan), np.zeros(shape, bool))

    def put(self, pair: int, method: int, values: Sequence[float]) -> None:
        """Store the scores of one fused image.

        Args:
            pair: number of the pair.
            method: number of the method.
            values: one for each of the K metrics, in their order.
        """
        self.values[pair, method], self.scored[pair, method] = values, True

    @property
    def shared(self) -> np.ndarray:
        """Values of the pairs that every method has, (P', M, K)."""
        return self.values[self.scored.all(axis=1)]

    def write_csv(self, path: Path) -> None:
        """One line per pair and method, one column per metric, ten significant digits.

        Raises:
            UserError: the file cannot be written.
        """
        with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("pair", "method", *(metric.name for metric in self.metrics)))
            for pair, method, values in self._rows(0, len(self.pairs)):
                writer.writerow((pair, method, *(f"{value:.10g}" for value in values)))

    def write_parquet(self, path: Path, facts: Mapping[str, str]) -> None:
        """The same table with every digit; ``facts`` become the file's key-value metadata.

        Raises:
            UserError: the file cannot be written.
        """
        columns = [
            ("pair", pa.string()),
            ("method", pa.string()),
            *((metric.name, pa.float64()) for metric in self.metrics),
        ]
        schema = pa.schema(columns, metadata=dict(facts))
        with atomic_path(path) as temporary, parquet_writer(temporary, schema) as writer:
            for start in range(0, len(self.pairs), PAIRS):
                rows = [
                    dict(zip(schema.names, (*row[:2], *row[2]), strict=True))
                    for row in self._rows(start, start + PAIRS)
                ]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))

    def _rows(self, start: int, stop: int) -> Iterator[tuple[str, str, list[float]]]:
        for p in range(start, min(stop, len(self.pairs))):
            for m in np.flatnonzero(self.scored[p]).tolist():
                yield self.pairs[p], self.methods[m], self.values[p, m].tolist()
