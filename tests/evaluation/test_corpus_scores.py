"""Scores kept per method: what changed is measured again, and nothing else."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from sigforge.core.colour import luma
from sigforge.core.files import sha256_file
from sigforge.core.images import read_image, write_image
from sigforge.core.progress import Progress
from sigforge.dataset.tables import Pair
from sigforge.evaluation.corpus_scores import FOLDER, score_methods
from sigforge.evaluation.references import REFERENCES
from sigforge.evaluation.score_rows import SCHEMA, read_scores, write_scores
from sigforge.metrics import select_metrics

METRICS = select_metrics("sd, mi")


def image(seed):
    return np.random.default_rng(seed).random((32, 40)).astype(np.float32)


@pytest.fixture
def pairs(tmp_path):
    found = []
    for number in range(2):
        paths = [tmp_path / f"{side}{number}.png" for side in "ab"]
        for side, path in enumerate(paths):
            write_image(path, image(10 * number + side))
        hashes = [sha256_file(path) for path in paths]
        facts = ("vif", "vif", "test", *map(str, paths), *hashes, 32, 40, 1, 1, "x", "none")
        found.append(Pair(f"p{number}", *facts))
    return found


@pytest.fixture
def fused(tmp_path, pairs):
    methods = {}
    for offset, method in enumerate(("max", "mean")):
        methods[method] = {pair.pair_id: tmp_path / f"{method}-{pair.pair_id}.png" for pair in pairs}
        for number, path in enumerate(methods[method].values()):
            write_image(path, image(100 + 10 * offset + number))
    return methods


def doctor(folder, method):
    """Put a mark into kept scores, to see later whether they were taken or measured."""
    path = folder / FOLDER / f"{method}.parquet"
    table = pq.read_table(path)
    marked = table.set_column(table.schema.get_field_index("value"), SCHEMA.field("value"), [[7.0] * len(table)])
    pq.write_table(marked.replace_schema_metadata(table.schema.metadata), path)


def values(rows):
    return {(row.method, row.metric, row.pair_id): row.value for row in rows}


def scored(*args):
    return score_methods(*args, bar=Progress("score", 4))


def test_rows_are_sorted_and_those_of_the_metric_itself(tmp_path, pairs, fused):
    rows = score_methods(tmp_path, fused, pairs, METRICS, bar=(bar := Progress("score", 4)))
    keys = list(values(rows))
    assert keys == sorted(keys) and len(keys) == 8 + 3 * 4 and (bar.done, bar.found) == (4, 0)
    assert {row.subtask for row in rows} == {"vif"}
    grey = np.rint(image(100) * 255)
    assert values(rows)["max", "sd", "p0"] == pytest.approx(grey.std(), rel=1e-3)
    for name, path in (("a alone", pairs[0].a_path), ("b alone", pairs[0].b_path)):
        assert values(rows)[name, "sd", "p0"] == pytest.approx(np.rint(luma(read_image(path)[0]) * 255).std(), rel=1e-3)


def test_only_what_changed_is_measured_again(tmp_path, pairs, fused):
    first = values(scored(tmp_path, fused, pairs, METRICS))
    doctor(tmp_path, "max"), doctor(tmp_path, "mean")
    write_image(fused["mean"]["p1"], image(999))
    rows = score_methods(tmp_path, fused, pairs, METRICS, bar=(bar := Progress("score", 4)))
    second = values(rows)
    assert (bar.done, bar.found) == (4, 2) and all(
        second["max", name, pair] == 7.0 for name in ("sd", "mi") for pair in ("p0", "p1")
    )
    assert second["mean", "sd", "p0"] == first["mean", "sd", "p0"]
    assert second["mean", "sd", "p1"] not in (7.0, first["mean", "sd", "p1"])


def test_other_metrics_other_sources_and_methods_that_left(tmp_path, pairs, fused):
    scored(tmp_path, fused, pairs, METRICS)
    doctor(tmp_path, "max")
    assert 7.0 not in values(scored(tmp_path, fused, pairs, METRICS[:1])).values(), "other metrics"
    doctor(tmp_path, "max")
    write_image(pairs[0].a_path, image(5))
    moved = [Pair(**vars(pairs[0]) | {"a_sha256": sha256_file(pairs[0].a_path)}), pairs[1]]
    assert 7.0 not in values(scored(tmp_path, fused, moved, METRICS[:1])).values(), "another source"
    scored(tmp_path, {"max": fused["max"]}, moved, METRICS[:1])
    assert {path.stem for path in (tmp_path / FOLDER).iterdir()} == {"max", *REFERENCES}


def test_a_table_of_scores_reads_back(tmp_path, pairs, fused):
    rows = scored(tmp_path, fused, pairs, METRICS)
    write_scores(tmp_path / "metrics.parquet", rows)
    assert read_scores(tmp_path / "metrics.parquet") == rows
    assert pq.read_table(tmp_path / "metrics.parquet").to_pylist() == [vars(row) for row in rows]
