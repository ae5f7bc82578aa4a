import dataclasses
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sigforge.core.errors import UserError
from sigforge.evaluation.distributions import write_plot
from sigforge.evaluation.leaderboard import build_leaderboard
from sigforge.evaluation.score_matrix import ScoreMatrix
from sigforge.evaluation.statistics import bootstrap_interval, permutation_test
from sigforge.evaluation.table_formats import FORMATS, format_of, to_html, to_latex, to_markdown, write_printed
from sigforge.metrics import BOTH, select_metrics

METHODS = ("mean", "gff", "max")
METRICS = select_metrics("q_g, sd")


def values(pairs=12, seed=0):
    """Scores with true means gff > max > mean on the first metric, mean > gff > max on the second."""
    noise = np.random.default_rng(seed).normal(size=(pairs, 3, 2)) * (0.02, 1.0)
    return noise + np.array([[0.3, 45.0], [0.7, 41.0], [0.5, 37.0]])


def board(scores=None, methods=METHODS, metrics=METRICS, **more):
    return build_leaderboard(values() if scores is None else scores, methods, metrics, **more)


def markdown(result):
    return to_markdown(result.printed())


def latex(result):
    return to_latex(result.printed())


def html(result):
    return to_html(result.printed())


def cells_of(text, separator):
    """Method to the cells of its row, as printed."""
    rows = (line.strip("| ").split(separator) for line in text.splitlines() if separator in line and "---" not in line)
    return {row[0].strip(): [cell.strip().removesuffix(r" \\") for cell in row[1:]] for row in rows}


class Cells(HTMLParser):
    """The cells of the rows of all tables; tags of text kept, checks that all are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta",):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag in ("b", "u"):
            self.rows[-1][-1] += f"<{tag}>"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_numbers_are_those_of_the_statistics():
    scores, result = values(), board()
    for k, column in enumerate(result.columns):
        expected = dict(
            zip(METHODS, zip(scores[:, :, k].mean(0), *bootstrap_interval(scores[:, :, k]), strict=True), strict=True)
        )
        for method, cell in zip(result.methods, column.cells, strict=True):
            assert (cell.mean, cell.low, cell.high) == pytest.approx(expected[method])
    assert result.columns[0].p == permutation_test(scores[:, 1, 0], scores[:, 2, 0])
    assert result.columns[1].p == permutation_test(scores[:, 0, 1], scores[:, 1, 1])


def test_methods_are_sorted_by_their_mean_rank():
    result = board()
    assert result.methods == ("gff", "mean", "max") and result.ranks == (1.5, 2.0, 2.5)
    assert [[cell.place for cell in column.cells] for column in result.columns] == [[1, 0, 2], [2, 1, 0]]


def test_lower_is_better_turns_places_ranks_and_test_around():
    turned = [dataclasses.replace(metric, higher_is_better=False) for metric in METRICS]
    result, scores = board(metrics=turned), values()
    assert result.methods == ("max", "mean", "gff")
    assert [[cell.place for cell in column.cells] for column in result.columns] == [[2, 1, 0], [1, 0, 2]]
    assert result.columns[1].p == permutation_test(scores[:, 2, 1], scores[:, 1, 1])
    assert "SD ↓" in markdown(result) and r"SD~$\downarrow$" in latex(result) and "SD ↓" in html(result)


def test_a_metric_with_a_target_is_compared_by_the_distance_from_it():
    # Signs cancel in the first method's mean, and the second is the smallest, but the third is always nearest.
    scores = np.array([[-0.4, -0.5, 0.1], [0.4, -0.5, 0.1], [-0.4, -0.6, 0.1]])[:, :, None]
    result = board(scores, ("both", "soft", "near"), select_metrics("q_sf"))
    assert result.methods == ("near", "both", "soft") and result.ranks == (1.0, 2.0, 3.0)
    assert [cell.text for cell in result.columns[0].cells] == ["0.100", "0.400", "0.533"]
    assert result.columns[0].p == permutation_test(np.full(3, 0.1), np.full(3, 0.4))
    assert "Q_SF →0" in markdown(result) and r"~$\to 0$" in latex(result) and "Q_SF →0" in html(result)
    assert result.notes == ("q_sf is shown as its distance from 0, its best value",)


def test_rank_counts_one_variant_of_each_metric():
    scores = np.repeat([[[2.0, 1.0]], [[2.1, 1.1]]], 4, axis=1)
    scores[:, 1] += 1
    scores = np.concatenate([scores[:, :2, :1]] * 3 + [scores[:, :2, 1:]], axis=2) * (-1, -1, -1, 1)
    result = board(scores, ("one", "two"), select_metrics("mi_nats, mi_tang, mi, sd"))
    assert dict(zip(result.methods, result.ranks, strict=True)) == {"one": 1.5, "two": 1.5}
    assert result.notes == ("rank: one variant of each metric counts, 2 of 4; not mi_nats, mi_tang",)
    alone = board(scores[:, :, :2], ("one", "two"), select_metrics("mi_nats, mi_tang"))
    assert alone.notes == ("rank: one variant of each metric counts, 1 of 2; not mi_tang",)
    assert board().notes == ()


def test_equal_prints_share_place_and_rank():
    scores = np.array([[[0.5], [0.5 + 1e-9], [0.3], [0.1]]])
    result = board(scores, ("a", "b", "c", "d"), select_metrics("q_g"))
    assert [cell.place for cell in result.columns[0].cells] == [1, 1, 2, 0]
    assert result.ranks == (1.5, 1.5, 3.0, 4.0)


def test_decimals_show_what_tells_methods_apart():
    def texts(*means):
        cells = (
            board(np.array(means)[None, :, None], tuple("abc")[: len(means)], select_metrics("q_g")).columns[0].cells
        )
        return {cell.text for cell in cells}

    assert texts(0.5, 0.7) == {"0.500", "0.700"} and texts(40.0, 50.0) == {"40.00", "50.00"}
    assert texts(0.8123, 0.8125) == {"0.81230", "0.81250"}
    assert texts(0.0213) == {"0.021"} and texts(0.00213) == {"0.0021"}
    assert texts(-1e-7, 0.2) == {"0.000", "0.200"} and texts(0.0, 0.0) == {"0.000"}


def test_a_pair_without_a_value_is_left_out_for_all_and_told():
    scores = values()
    scores[3, 0, 0], scores[4, 2, 0] = math.nan, math.inf
    result = board(scores, notes=("a note",))
    kept = np.delete(scores[:, :, 0], (3, 4), axis=0)
    assert [cell.mean for cell in result.columns[0].cells] == pytest.approx(kept.mean(0)[[1, 0, 2]])
    assert (result.columns[0].pairs, result.columns[1].pairs, result.pairs) == (10, 12, 12)
    assert result.notes[0] == "a note" and "q_g is over the 10 of 12 pairs" in result.notes[1]
    assert len(result.notes) == 2


def test_a_method_never_defined_is_last_and_does_not_take_the_others_along():
    scores = values()
    scores[:, 1, 0] = math.nan
    result = board(scores)
    by_method = dict(zip(result.methods, result.columns[0].cells, strict=True))
    assert by_method["gff"].text == "n/a" and by_method["gff"].place == 0 and by_method["gff"].interval == ""
    assert (by_method["max"].place, by_method["mean"].place) == (1, 2) and result.columns[0].pairs == 12
    assert dict(zip(result.methods, result.columns[0].ranks, strict=True))["gff"] == 3
    assert result.columns[0].p == permutation_test(scores[:, 0, 0], scores[:, 2, 0])


def test_nothing_defined_at_all():
    result = board(np.full((2, 2, 1), math.nan), ("a", "b"), select_metrics("q_g"))
    assert [cell.text for cell in result.columns[0].cells] == ["n/a", "n/a"] and result.columns[0].p_text == "–"
    assert "n/a" in markdown(result) and "q_g is over the 0 of 2 pairs" in result.notes[0]


def test_one_pair_or_one_method_has_no_test():
    single = board(values(1))
    assert [column.p_text for column in single.columns] == ["–", "–"] and "[" not in markdown(single)
    assert "means over 1 pair;" in single.caption and "bootstrap" not in single.caption
    alone = board(values()[:, :1], METHODS[:1])
    assert [column.p_text for column in alone.columns] == ["–", "–"] and "[0." in markdown(alone)


def test_caption_names_how_the_test_was_counted():
    assert "means over 12 pairs" in board().caption and "all 2^12 signs" in board().caption
    assert "100,000 random signs" in board(values(40)).caption


def test_formats_agree_in_values_and_marks():
    result = board()
    printed = {
        "markdown": cells_of(markdown(result), " | "),
        "latex": cells_of(latex(result), " & "),
        "html": {row[0]: row[1:] for row in Cells(html(result)).rows},
    }
    marks = {
        "markdown": ("**{}**", "<ins>{}</ins>"),
        "latex": (r"\textbf{{{}}}", r"\underline{{{}}}"),
        "html": ("<b>{}", "<u>{}"),
    }
    for name, rows in printed.items():
        assert next(iter(rows)) == "method" and list(rows)[-1] == "p, best against second"
        for m, method in enumerate(result.methods):
            rank, *cells = rows[method]
            assert rank == f"{result.ranks[m]:.1f}"
            for cell, column in zip(cells, result.columns, strict=True):
                expected = column.cells[m]
                style = ("{}", *marks[name])[expected.place]
                assert cell.startswith(style.format(expected.text)) and f"[{expected.interval}]" in cell
        assert [p.strip("\\").replace("$", "") for p in rows["p, best against second"][1:]] == ["<0.001", "<0.001"]


def test_names_cannot_break_the_formats():
    result = board(methods=("a_b|c", "d&<i>", "100%$#{}~^\\"), notes=("<x> & 5 %",))
    assert r"| a_b\|c |" in markdown(result) and r"d&\<i>" in markdown(result)
    assert r"100\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}" in latex(result)
    assert r"a\_b|c &" in latex(result) and r"d\&$<$i$>$ &" in latex(result)
    parsed = Cells(html(result))
    assert {row[0] for row in parsed.rows} >= {"a_b|c", "d&<i>"} and "&lt;x&gt; &amp; 5 %" in html(result)


def test_latex_symbols_and_balance():
    renamed = zip(METRICS, ("Q_NCIE", "N^{AB/F}"), strict=True)
    text = latex(board(metrics=[dataclasses.replace(metric, symbol=symbol) for metric, symbol in renamed]))
    assert r"$Q_{\mathrm{NCIE}}$~$\uparrow$" in text and r"$N^{\mathrm{AB/F}}$~$\uparrow$" in text
    assert text.count("{") == text.count("}") and text.count(r"\begin") == text.count(r"\end")


def test_variants_with_one_symbol_are_told_apart():
    result = board(metrics=[dataclasses.replace(metric, symbol="MI") for metric in METRICS])
    assert "| MI (q_g) ↑ | MI (sd) ↑ |" in markdown(result) and r"MI (sd)~$\uparrow$" in latex(result)


def test_many_metrics_go_into_several_tables():
    result = board(np.tile(values(), 5), metrics=METRICS * 5)
    assert markdown(result).count("| method |") == 2 and markdown(result).count("| rank |") == 1
    assert latex(result).count(r"\begin{tabular}") == 2 and len(Cells(html(result)).rows) == 10


def test_page_stands_alone_and_closes_what_it_opens():
    text = html(board())
    assert "http:" not in text and "https" not in text and "<script" not in text
    assert Cells(text).open == ["html"]


def test_format_follows_the_extension(tmp_path):
    for suffix, write in FORMATS.items():
        path = tmp_path / f"board{suffix}"
        write_printed(path, board().printed())
        assert path.read_text() == write(board().printed()) and format_of(Path(f"X{suffix.upper()}")) is write
    with pytest.raises(UserError, match=r"board\.pdf: no format .* \.md, \.tex, \.html"):
        write_printed(tmp_path / "board.pdf", board().printed())


def test_scores_keep_only_pairs_of_all_methods_and_write_what_is_there(tmp_path):
    scores = ScoreMatrix.empty(("p", "q"), ("a", "b"), METRICS[1:])
    for pair, method in ((0, 0), (0, 1), (1, 1)):
        scores.put(pair, method, (pair + method / 3,))
    assert scores.shared.tolist() == [[[0.0], [1 / 3]]]
    scores.write_csv(tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == "pair,method,sd\np,a,0\np,b,0.3333333333\nq,b,1.333333333\n"


def test_plot_draws_every_method_and_nothing_undefined(tmp_path):
    scores = values()
    scores[:, 1, 0], scores[0, 0, 1] = math.nan, math.inf
    for name in ("one.svg", "two.svg", "p.png"):
        write_plot(tmp_path / name, scores, ("my_$x$", "gff", "max"), METRICS)
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text().replace("two", "one")
    assert "Q_G ↑" in text and "SD ↑" in text and "my_$x$" in text and "nan" not in text
    # 2 x 12 images without those undefined, and 3 x 12 but one.
    assert text.count("fill-opacity: 0.5") == 24 + 35
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"p\.gif: no format"):
        write_plot(tmp_path / "p.gif", scores, METHODS, METRICS)


def with_copies():
    """Scores by what ``both`` is made of: one even method, one that leads nowhere, copies and a collage."""
    names = select_metrics((*BOTH, "distance_a", "distance_b", "q_g"))
    means = {
        "even": (0.4, 0.2, 0.3, 0.6, 0.01, 20, 21, 0.6),
        "lazy": (0.2, 0.1, 0.1, 0.4, 0.00, 0.5, 39.9, 0.8),
        "a alone": (0.1, 0.0, 0.1, 0.4, 0.0, 0, 40, 0.9),
        "b alone": (0.1, 0.0, 0.1, 0.4, 0.0, 40, 0, math.nan),
        "collage": (0.5, 0.1, 0.4, 0.4, 0.05, 19, 22, 0.7),
    }
    noise = np.random.default_rng(0).normal(0, 1e-4, (6, 1, 1))
    return np.array(list(means.values())) + noise, tuple(means), names


def test_copies_are_shown_and_placed_and_take_no_rank():
    scores, methods, names = with_copies()
    result = board(scores[:, ::-1], methods[::-1], names)
    bare = board(scores[:, :2], methods[:2], names)
    assert result.methods == ("lazy", "even", "a alone", "b alone", "collage")
    assert result.ranks[:2] == bare.ranks and all(map(math.isnan, result.ranks[2:])) and result.both[:2] == bare.both
    both = dict(zip(result.methods, result.both, strict=True))
    assert both["even"] < both["lazy"] < both["a alone"] and both["even"] < both["collage"]
    for column, other in zip(result.columns, bare.columns, strict=True):
        assert column.cells[:2] == other.cells and column.p == other.p and column.pairs == 6
        assert not any(cell.place for cell in column.cells[2:])
    assert result.columns[-1].cells[3].text == "n/a" and "q_g is over" not in " ".join(result.notes)


def test_copies_are_marked_and_near_copies_told_in_every_format():
    result = board(*with_copies())
    assert result.notes[0].startswith("lazy is within 2 % of a copy of a: 0.5 grey levels")
    assert "rank: one variant of each metric counts and no part, 2 of 8" in result.notes[1]
    assert (
        "copies and collage take no place" in result.caption
        and "quadratic mean of the ranks by q_g_min" in result.caption
    )
    assert "| *a alone* | – | " in markdown(result) and "| method | rank | both ↓ |" in markdown(result)
    assert r"\textit{a alone} & -- & " in latex(result) and r"both~$\downarrow$" in latex(result)
    assert "<i>collage</i></th><td>–</td>" in html(result)


def test_both_needs_its_metrics():
    assert board().both == () and "both" not in markdown(board())
