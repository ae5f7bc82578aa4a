from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from sigforge.core.errors import UserError
from sigforge.dataset.tables import Pair
from sigforge.methods.sigfusion.sigformer import SigFormerConfig
from sigforge.synthesis.signal_index import signal_index, write_index

PAIR = Pair("p0", "vif", "vif", "train", "a", "b", "1", "2", 8, 8, 1, 3, "test", "none")
SUBBANDS = SigFormerConfig().subbands


def pairs(count):
    return [replace(PAIR, pair_id=f"p{index}") for index in range(count)]


@pytest.mark.parametrize(("m", "n"), [(1, 1), (4, 3)])
def test_exactly_two_m_n_z_rows(m, n, tmp_path):
    corpora = {f"model{k}": {f"p{index}" for index in range(m)} for k in range(n)}
    table = signal_index(pairs(m), tuple(corpora), corpora, SUBBANDS)
    assert table.num_rows == 2 * m * n * 5
    assert set(table["modality"].to_pylist()) == {"ir", "vis"}
    assert set(table["subband"].to_pylist()) == {"L2", "H1_1", "H1_2", "H2_1", "H2_2"}
    write_index(table, tmp_path / "signals.parquet")
    assert pq.read_table(tmp_path / "signals.parquet").equals(table)


def test_missing_cell_is_named():
    corpora = {"mean": {"p0", "p1"}, "gff": {"p0"}}
    with pytest.raises(UserError, match="model 'gff' has no fused image of pair 'p1'; run 'dvc repro fuse@vif'"):
        signal_index(pairs(2), ("mean", "gff"), corpora, SUBBANDS)


def test_a_configured_method_without_a_corpus_is_missing_however_whole_the_others_are():
    with pytest.raises(UserError, match="model 'gff' has no fused image of pair 'p0'"):
        signal_index(pairs(2), ("mean", "gff"), {"mean": {"p0", "p1"}}, SUBBANDS)


def test_a_corpus_that_nobody_configured_is_refused():
    with pytest.raises(UserError, match="corpus 'old' is of no configured method"):
        signal_index(pairs(1), ("mean",), {"mean": {"p0"}, "old": {"p0"}}, SUBBANDS)


def test_repeated_pairs_are_refused():
    with pytest.raises(UserError, match="2 x M x N x Z = 20; pair ids repeat"):
        signal_index([PAIR, PAIR], ("mean",), {"mean": {"p0"}}, SUBBANDS)
