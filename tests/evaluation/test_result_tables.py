import csv
import dataclasses
import io
import math
import re

import pytest

from sigforge.evaluation.result_tables import build_tables, csv_of_results
from sigforge.evaluation.score_rows import ScoreRow
from sigforge.evaluation.table_formats import to_html, to_latex, to_markdown
from sigforge.metrics import select_metrics

METRICS = ("q_g", "sd")
CHOSEN = select_metrics(METRICS)


def values(means: dict[str, tuple[float, float]], subtasks=("", "")) -> list[ScoreRow]:
    """Two pairs per method, half a unit of the metric's last printed place apart from the mean."""
    return [
        ScoreRow(f"p{k}", subtask, method, metric, mean + spread)
        for method, pair in means.items()
        for metric, mean in zip(METRICS, pair, strict=True)
        for k, (subtask, spread) in enumerate(zip(subtasks, (-0.25, 0.25), strict=True))
    ]


MEANS = {"mean": (0.3, 20.0), "sigfusion": (0.5, 40.0), "gff": (0.7, 30.0)}


def table(means=MEANS, *, simulated=False, metrics=CHOSEN):
    return build_tables("vif", values(means), metrics, ours="sigfusion", simulated=simulated)[0]


def table_of_both():
    """A table by what ``both`` is made of, with a near copy, copies and a collage."""
    chosen = select_metrics("both, sd")
    means = {
        "even": (0.4, 0.2, 0.3, 0.6, 0.01, 20, 21, 30),
        "sigfusion": (0.3, 0.1, 0.2, 0.4, 0.02, 0.5, 39.9, 40),
        "a alone": (0.1, 0.0, 0.1, 0.4, 0.0, 0, 40, 90),
        "b alone": (0.1, 0.0, 0.1, 0.4, 0.0, 40, 0, 95),
        "collage": (0.5, 0.1, 0.4, 0.4, 0.05, 19, 22, 99),
    }
    rows = [
        ScoreRow("p0", "", method, metric.name, value)
        for method, found in means.items()
        for metric, value in zip(chosen, found, strict=True)
    ]
    return build_tables("vif", rows, chosen, ours="sigfusion")[0]


def test_copies_and_collage_stand_last_and_take_no_place():
    result = table_of_both()
    assert [row.method for row in result.rows] == ["even", "sigfusion", "a alone", "b alone", "collage"]
    assert [row.method for row in result.methods] == ["even", "sigfusion"]
    assert [row.cells[-1].rank for row in result.rows] == [2, 1, 0, 0, 0]
    assert not any(cell.rank for row in result.rows for cell in row.cells[5:7]), "distances are described, not judged"
    both = {row.method: row.both for row in result.rows}
    assert both["even"] == 1.0 and both["sigfusion"] == 2.0 < both["a alone"] == both["b alone"]
    assert result.notes == (
        "sigfusion is within 2 % of a copy of a: 0.5 grey levels from it on average, where a and b are 40 apart",
    )


def test_both_and_the_copies_are_printed_in_every_format():
    result = table_of_both()
    text = to_markdown(result.printed())
    assert "| method | both ↓ | Q_G min ↑ |" in text and "| even | 1.0 |" in text and "| *collage* | 1.7 |" in text
    assert "distance a |" in text and "- sigfusion is within 2 % of a copy of a" in text
    assert r"method & both~$\downarrow$ & $Q_{\mathrm{G}}$ min" in to_latex(result.printed())
    assert r"\textit{a alone} & 2.1" in to_latex(result.printed())
    rows = list(csv.DictReader(io.StringIO(csv_of_results([result]))))
    found = {row["method"]: row["mean"] for row in rows if row["metric"] == "both"}
    assert found["even"] == "1" and set(found) == {row.method for row in result.rows}
    assert not any(row["rank"] for row in rows if row["method"] == "collage")


def marks(text: str, bold: str, underlined: str) -> dict[tuple[str, int], int]:
    """(method, column) to rank, read back from the lines of a printed table."""
    found = {}
    for line in text.splitlines():
        method, *cells = (cell.strip(" \\") for cell in re.split(r"[|&]", line.strip("| ")))
        for column, cell in enumerate(cells):
            if re.search(f"{bold}|{underlined}", cell):
                found[method, column] = 1 if re.search(bold, cell) else 2
    return found


def test_our_method_is_last_and_ranks_follow_the_direction():
    result = table()
    assert [row.method for row in result.rows] == ["gff", "mean", "sigfusion"]
    assert [[cell.rank for cell in row.cells] for row in result.rows] == [[1, 2], [0, 0], [2, 1]]
    assert [row.ours for row in result.rows] == [False, False, True]
    assert result.pairs == 2


def test_lower_is_better_turns_the_ranks_around():
    result = table(metrics=[dataclasses.replace(metric, higher_is_better=False) for metric in CHOSEN])
    assert [[cell.rank for cell in row.cells] for row in result.rows] == [[0, 2], [1, 1], [2, 0]]
    assert "Q_G ↓" in to_markdown(result.printed())
    assert r"$Q_{\mathrm{G}}$~$\downarrow$" in to_latex(result.printed())


def test_means_that_print_alike_share_a_place():
    result = table({"a": (0.50001, 1.0), "b": (0.49999, 2.0), "sigfusion": (0.4, 3.0)})
    assert [row.cells[0].rank for row in result.rows] == [1, 1, 2]


def test_an_undefined_value_is_shown_and_never_ranked():
    result = table({"a": (math.nan, 1.0), "b": (0.3, 2.0), "sigfusion": (0.2, 3.0)})
    assert [(row.cells[0].text, row.cells[0].rank) for row in result.rows] == [("n/a", 0), ("0.300", 1), ("0.200", 2)]


def test_formats_agree_in_values_and_marks():
    result = table(simulated=True)
    rows = list(csv.DictReader(io.StringIO(csv_of_results([result]))))
    ranks = {
        ("SigFusion" if row["method"] == "sigfusion" else row["method"], METRICS.index(row["metric"])): int(row["rank"])
        for row in rows
        if row["rank"]
    }
    printed_markdown, printed_latex = to_markdown(result.printed()), to_latex(result.printed())
    assert ranks == {("gff", 0): 1, ("SigFusion", 0): 2, ("SigFusion", 1): 1, ("gff", 1): 2}
    assert marks(printed_markdown.split("---:")[-1], r"\*\*", "<ins>") == ranks
    assert marks(printed_latex.split("midrule")[-1], "textbf", "underline") == ranks
    for row in rows:
        text = f"{float(row['mean']):.{3 if row['metric'] == 'q_g' else 2}f}"
        assert text in printed_markdown and text in printed_latex
        assert float(row["deviation"]) == pytest.approx(0.25)
        assert (row["pairs"], row["data"]) == ("2", "simulated demo data")


def test_every_format_says_simulated_only_when_it_is():
    real, simulated = (table(simulated=simulated) for simulated in (False, True))
    for write in (to_markdown, to_latex, to_html):
        assert "simulated demo data" in write(simulated.printed()) and "simulated" not in write(real.printed())
    assert "simulated demo data" in csv_of_results([simulated]) and "simulated" not in csv_of_results([real])


def test_arrows_and_symbols_come_from_the_registry():
    heads = to_markdown(table().printed()).splitlines()[2]
    assert heads == "| method | Q_G ↑ | SD ↑ |"
    assert r"$Q_{\mathrm{G}}$~$\uparrow$ & SD~$\uparrow$" in to_latex(table().printed())


def test_latex_escapes_underscores_of_method_names():
    result = table({"my_method": (0.1, 1.0), "sigfusion": (0.2, 2.0)})
    assert r"my\_method" in to_latex(result.printed())


def test_several_subtasks_give_one_table_each_after_the_whole():
    split = build_tables("mif", values(MEANS, ("mri-ct", "mri-pet")), CHOSEN, ours="sigfusion")
    assert [(part.subtask, part.pairs) for part in split] == [("", 2), ("mri-ct", 1), ("mri-pet", 1)]
    gff = [part.rows[0].cells[0].mean for part in split]
    assert gff == pytest.approx([0.7, 0.45, 0.95])
    assert "mif, mri-pet: means over 1 test pair\n" in to_markdown(split[2].printed()).replace("**", "")
