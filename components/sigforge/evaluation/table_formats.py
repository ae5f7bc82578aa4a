"""How every table of the project is printed: Markdown, LaTeX or HTML, with one set of marks.

What is in a table decides who builds it: :mod:`~sigforge.evaluation.result_tables`,
:mod:`~sigforge.evaluation.leaderboard`, :mod:`~sigforge.evaluation.gain`, :mod:`~sigforge.evaluation.ablation`. Their
tables have a method ``printed()`` that gives a :class:`PrintedTable`, and the functions here write that.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sigforge.core.errors import UserError
from sigforge.core.escape import escape_html, escape_latex, escape_markdown
from sigforge.core.files import write_atomic
from sigforge.metrics import Metric

UNDEFINED = "n/a"
"""Printed for a mean that is not finite."""

Mark = Literal["", "best", "second", "worse", "quoted", "aside"]
"""``worse`` than before; ``quoted`` from elsewhere, not measured here; ``aside``: no method, shown to compare with."""

_MARKDOWN_MARKS = {"best": "**{}**", "second": "<ins>{}</ins>", "worse": "*{}*"}
_LATEX_MARKS = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "worse": r"\textit{{{}}}"}
_HTML_MARKS = {"best": "<b>{}</b>", "second": "<u>{}</u>", "worse": "<i>{}</i>", "quoted": "<span>{}</span>"}
for _marks in (_MARKDOWN_MARKS, _LATEX_MARKS, _HTML_MARKS):
    _marks["aside"] = _marks["worse"]


@dataclass(frozen=True)
class PrintedHead:
    """Head of a column; ``latex`` is its source where the escaped text would not do."""

    text: str
    latex: str = ""

    @classmethod
    def of_metric(cls, metric: Metric, symbol: str = "") -> "PrintedHead":
        r"""Symbol and arrow of a metric.

        Example:
            >>> from sigforge.metrics import get_metric
            >>> PrintedHead.of_metric(get_metric("q_g"))
            PrintedHead(text='Q_G ↑', latex='$Q_{\\mathrm{G}}$~$\\uparrow$')
        """
        symbol = symbol or metric.symbol
        text, latex = f"{symbol} {metric.arrow}", f"{_latex_symbol(symbol)}~{metric.latex_arrow}"
        return cls(text.strip(), latex.rstrip("~"))


BOTH_HEAD = PrintedHead("both ↓", r"both~$\downarrow$")
"""Of the column of :func:`sigforge.evaluation.both.both_ranks`."""


@dataclass(frozen=True)
class PrintedCell:
    """One cell: its text, how it is marked, and a detail such as an interval, printed small in brackets."""

    text: str
    mark: Mark = ""
    detail: str = ""


@dataclass(frozen=True)
class PrintedGrid:
    """Heads and rows of as many cells.

    Attributes:
        footer: rows below a rule.
        names: leading columns that hold words and stand left; the others hold numbers and stand right.
    """

    heads: Sequence[PrintedHead]
    rows: Sequence[Sequence[PrintedCell]]
    footer: Sequence[Sequence[PrintedCell]] = ()
    names: int = 1


@dataclass(frozen=True)
class PrintedTable:
    """What is printed: a title for a page of its own, what the numbers are, one grid or several, and notes below."""

    title: str
    caption: str
    grids: Sequence[PrintedGrid]
    notes: Sequence[str] = ()


def to_markdown(table: PrintedTable) -> str:
    """GitHub Markdown: best bold, second underlined, worse in italics."""
    grids = ["\n".join(_markdown_lines(grid)) for grid in table.grids]
    notes = "\n".join(f"- {escape_markdown(note)}" for note in table.notes)
    return "\n\n".join([f"**{escape_markdown(table.caption)}**", *grids, notes]).rstrip() + "\n"


def markdown_grid(heads: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> str:
    """A Markdown table of plain texts, without a caption.

    Args:
        heads: of the columns.
        rows: as many texts each.
        names: leading columns that stand left.
    """
    cells = [[PrintedCell(text) for text in row] for row in rows]
    return "\n".join(_markdown_lines(PrintedGrid([PrintedHead(head) for head in heads], cells, names=names)))


def to_latex(table: PrintedTable) -> str:
    r"""One ``table`` environment; needs ``\usepackage{booktabs}``."""
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(table.caption)}}}"]
    for grid in table.grids:
        lines += [*_latex_lines(grid), ""]
    notes = [rf"\\ {{\footnotesize {escape_latex(note)}}}" for note in table.notes]
    return "\n".join([*lines[:-1], *notes, r"\end{table}", ""])


def to_html(table: PrintedTable) -> str:
    """A page of its own, without scripts or anything from elsewhere."""
    title, caption = escape_html(table.title), escape_html(table.caption)
    grids = [line for grid in table.grids for line in _html_lines(grid)]
    notes = [f"<li>{escape_html(note)}</li>" for note in table.notes]
    return "\n".join([_PAGE.format(title=title), f"<p>{caption}</p>", *grids, "<ul>", *notes, "</ul>", ""])


FORMATS: dict[str, Callable[[PrintedTable], str]] = {".md": to_markdown, ".tex": to_latex, ".html": to_html}


def write_printed(path: Path, table: PrintedTable) -> None:
    """Write a table in the format that the name's extension says.

    Raises:
        UserError: no such format, or the file cannot be written.
    """
    write_atomic(path, format_of(path)(table))


def format_of(path: Path) -> Callable[[PrintedTable], str]:
    """The printer for a file name.

    Raises:
        UserError: there is none for its extension.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: no format for a table: end its name in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }}
table {{ border-collapse: collapse; display: block; margin: 1rem 0; overflow-x: auto }}
th, td {{ padding: .3rem .7rem; text-align: right; white-space: nowrap }}
.name {{ text-align: left }}
thead tr, tbody tr:last-child {{ border-block: 1px solid }}
small, td span {{ opacity: .7 }}
</style>
<h1>{title}</h1>"""


def _markdown_lines(grid: PrintedGrid) -> Iterator[str]:
    rules = ["---" if column < grid.names else "---:" for column in range(len(grid.heads))]
    heads = [escape_markdown(head.text) for head in grid.heads]
    body = ([_marked(cell, _MARKDOWN_MARKS, escape_markdown, " [{}]") for cell in row] for row in _rows(grid))
    for line in (heads, rules, *body):
        yield f"| {' | '.join(line)} |"


def _latex_lines(grid: PrintedGrid) -> Iterator[str]:
    yield rf"\begin{{tabular}}{{{'l' * grid.names}{'r' * (len(grid.heads) - grid.names)}}}"
    yield r"\toprule"
    yield " & ".join(head.latex or escape_latex(head.text) for head in grid.heads) + r" \\"
    for rows in (grid.rows, grid.footer):
        if rows:
            yield r"\midrule"
        for row in rows:
            cells = (_marked(cell, _LATEX_MARKS, escape_latex, r" {{\scriptsize [{}]}}") for cell in row)
            yield " & ".join(cells) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _html_lines(grid: PrintedGrid) -> Iterator[str]:
    kinds = [' class="name"' if column < grid.names else "" for column in range(len(grid.heads))]
    heads = (
        f'<th scope="col"{kind}>{escape_html(head.text)}</th>' for kind, head in zip(kinds, grid.heads, strict=True)
    )
    yield f"<table>\n<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>"
    for row in _rows(grid):
        first, *others = [_marked(cell, _HTML_MARKS, escape_html, " <small>[{}]</small>") for cell in row]
        cells = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], others, strict=True))
        yield f'<tr><th scope="row" class="name">{first}</th>{cells}</tr>'
    yield "</tbody>\n</table>"


def _rows(grid: PrintedGrid) -> Iterator[Sequence[PrintedCell]]:
    yield from grid.rows
    yield from grid.footer


def _marked(cell: PrintedCell, marks: dict[str, str], escaped: Callable[[str], str], detail: str) -> str:
    text = marks.get(cell.mark, "{}").format(escaped(cell.text))
    return text + (detail.format(escaped(cell.detail)) if cell.detail else "")


def _latex_symbol(symbol: str) -> str:
    r"""A symbol as ``$Q_{\mathrm{G}}$``, and the words that follow it."""
    head, space, words = symbol.partition(" ")
    if not (cut := re.search("[_^]", head)):
        return escape_latex(symbol)
    base, index = escape_latex(head[: cut.start()]), escape_latex(head[cut.end() :].strip("{}"))
    return rf"${base}{cut[0]}{{\mathrm{{{index}}}}}$" + escape_latex(space + words)
