"""The table of what synthetic pairs bring: differences are of pairs, marks follow the interval and the direction."""

import math

import numpy as np
import pytest

from sigforge.evaluation.gain import build_gain, change
from sigforge.evaluation.score_rows import ScoreRow
from sigforge.evaluation.statistics import bootstrap_interval
from sigforge.evaluation.table_formats import to_markdown
from sigforge.metrics import get_metric, select_metrics

RNG = np.random.default_rng(0)
BEFORE = RNG.uniform(0.3, 0.9, 30)
NOISE = RNG.normal(0, 0.002, 30)


def rows(**columns):
    """``method__metric`` to values; pairs are listed in another order for every other method."""
    for number, (name, values) in enumerate(columns.items()):
        method, _, metric = name.partition("__")
        order = range(len(values)) if number % 2 else reversed(range(len(values)))
        yield from (ScoreRow(f"p{k:02}", "", method, metric, values[k]) for k in order)


def test_a_small_change_of_all_pairs_counts_though_the_pairs_differ_much():
    found = change(BEFORE, BEFORE + 0.01 + NOISE, get_metric("q_g"))
    low, high = bootstrap_interval((0.01 + NOISE)[:, None])
    assert (found.low, found.high) == (pytest.approx(low[0]), pytest.approx(high[0])) and found.sign == 1
    assert found.after - found.before == pytest.approx((0.01 + NOISE).mean())
    assert change(BEFORE + 0.01 + NOISE, BEFORE, get_metric("q_g")).sign == -1
    assert change(BEFORE, BEFORE + NOISE - NOISE.mean(), get_metric("q_g")).sign == 0


def test_less_is_better_where_the_registry_says_so():
    assert not get_metric("nabf").higher_is_better
    assert change(BEFORE, BEFORE - 0.1, get_metric("nabf")).sign == 1


def test_undefined_values_and_single_pairs_have_no_verdict():
    after = BEFORE + 0.1
    after[4] = math.nan
    found = change(BEFORE, after, get_metric("q_g"))
    assert found.sign == 1 and found.before == pytest.approx(np.delete(BEFORE, 4).mean())
    nothing = change(BEFORE, np.full(30, math.nan), get_metric("q_g"))
    assert nothing.sign == 0 and nothing.text == "n/a → n/a" and nothing.interval == ""
    one = change(BEFORE[:1], BEFORE[:1] + 0.1, get_metric("q_g"))
    assert one.sign == 0 and one.interval == "" and one.before == BEFORE[0]


def test_the_table_pairs_by_name_and_leaves_out_what_was_trained_one_way():
    values = list(
        rows(
            emma__q_g=BEFORE,
            emma_synth__q_g=BEFORE + 0.125,
            sspfusion__q_g=BEFORE,
            gff__q_g=BEFORE,
            emma__sd=100 * BEFORE,
            emma_synth__sd=100 * BEFORE - 2,
            sspfusion__sd=BEFORE,
            gff__sd=BEFORE,
        )
    )
    table = build_gain("vif", values, select_metrics("q_g, sd"), simulated=True)
    assert list(table.rows) == ["emma"] and [entry.sign for entry in table.rows["emma"]] == [1, -1]
    text = to_markdown(table.printed())
    mean = BEFORE.mean()
    assert f"| emma | **{mean:.3f} → {mean + 0.125:.3f}** [+0.125 to +0.125] | *" in text
    assert "*" + f"{100 * mean:.2f} → {100 * mean - 2:.2f}* [-2.000 to -2.000] |" in text
    assert "means over 30 test pairs (simulated demo data)" in text
    assert build_gain("vif", list(rows(gff__q_g=BEFORE)), [get_metric("q_g")], simulated=False).rows == {}
