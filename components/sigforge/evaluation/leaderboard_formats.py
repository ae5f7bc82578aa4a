"""A leaderboard as Markdown, LaTeX or HTML: best bold, second underlined, arrows from the registry."""

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.evaluation.leaderboard import BoardCell, BoardColumn, Leaderboard

WIDEST = 8
"""Metrics side by side; more go into further tables."""

TEST_LABEL = "p, best against second"


def write_leaderboard(path: Path, board: Leaderboard) -> None:
    """Write ``board`` in the format that the name's extension says.

    Raises:
        UserError: no such format, or the file cannot be written.
    """
    write_atomic(path, format_of(path)(board))


def format_of(path: Path) -> Callable[[Leaderboard], str]:
    """The printer for a file name.

    Raises:
        UserError: there is none for its extension.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: no format for a leaderboard: end its name in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def markdown(board: Leaderboard) -> str:
    """GitHub Markdown."""
    marks = ("{}", "**{}**", "<ins>{}</ins>")
    tables = []
    for head, *body in grids(board, marks, " [{}]", _bars, lambda column: _bars(title(column))):
        lines = [head, ["---", *("---:" for _ in head[1:])], *body]
        tables.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    notes = "\n".join(f"- {_bars(note)}" for note in board.notes)
    return "\n\n".join([f"**{board.caption}**", *tables, notes]).rstrip() + "\n"


def latex(board: Leaderboard) -> str:
    r"""One ``table`` environment; needs ``\usepackage{booktabs}``."""
    marks = ("{}", r"\textbf{{{}}}", r"\underline{{{}}}")
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{tex(board.caption)}}}"]
    for head, *body in grids(board, marks, r" {{\scriptsize [{}]}}", tex, _latex_title):
        rows = [" & ".join(line) + r" \\" for line in (head, *body)]
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", rows[0], r"\midrule", *rows[1:-1]]
        lines += [r"\midrule", rows[-1], r"\bottomrule", r"\end{tabular}", ""]
    notes = [rf"\\ {{\footnotesize {tex(note)}}}" for note in board.notes]
    return "\n".join([*lines[:-1], *notes, r"\end{table}", ""])


def html(board: Leaderboard) -> str:
    """A page of its own, without scripts or anything from elsewhere."""
    marks = ("{}", "<b>{}</b>", "<u>{}</u>")
    grid = grids(board, marks, " <small>[{}]</small>", escape, lambda column: escape(title(column)))
    tables = [line for head, *body in grid for line in _html_table(head, body)]
    notes = [f"<li>{escape(note)}</li>" for note in board.notes]
    return "\n".join([_PAGE_START, f"<p>{escape(board.caption)}</p>", *tables, "<ul>", *notes, "</ul>", ""])


FORMATS: dict[str, Callable[[Leaderboard], str]] = {".md": markdown, ".tex": latex, ".html": html}

_PAGE_START = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Leaderboard</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; margin: 1rem 0; overflow-x: auto }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap }
th:first-child { text-align: left }
thead tr, tbody tr:last-child { border-block: 1px solid }
small { opacity: .7 }
</style>
<h1>Leaderboard</h1>"""

_TEX = {**{char: rf"\{char}" for char in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
_TEX |= {"^": r"\textasciicircum{}", "–": "--", "<": r"$<$", ">": r"$>$"}


def tex(text: str) -> str:
    r"""Escape what LaTeX reads as commands.

    Example:
        >>> tex("my_method, 95 %")
        'my\\_method, 95 \\%'
    """
    return "".join(_TEX.get(char, char) for char in text)


def title(column: BoardColumn) -> str:
    """Symbol of a metric and its arrow."""
    return f"{column.symbol} {column.metric.arrow}"


def grids(
    board: Leaderboard,
    marks: Sequence[str],
    interval: str,
    escaped: Callable[[str], str] = str,
    head: Callable[[BoardColumn], str] = title,
) -> Iterator[list[list[str]]]:
    """Tables of strings ready to be joined: heads, a row per method, the row of tests.

    Args:
        board: what to print; ranks stand in the first table.
        marks: formats of a mean that is neither best nor second, best, second.
        interval: format of the interval that follows it.
        escaped: how names are written.
        head: of a column.
    """
    for start in range(0, len(board.columns), WIDEST):
        columns, first = board.columns[start : start + WIDEST], start == 0
        rows = [["method", *(["rank"] if first else []), *map(head, columns)]]
        for m, (method, rank) in enumerate(zip(board.methods, board.ranks, strict=True)):
            cells = (_printed(column.cells[m], marks, interval) for column in columns)
            rows.append([escaped(method), *([f"{rank:.1f}"] if first else []), *cells])
        rows.append([TEST_LABEL, *([""] if first else []), *(escaped(column.p_text) for column in columns)])
        yield rows


def _printed(cell: BoardCell, marks: Sequence[str], interval: str) -> str:
    return marks[cell.place].format(cell.text) + (interval.format(cell.interval) if cell.interval else "")


def _html_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    yield f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>"
    for name, *cells in body:
        yield f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    yield "</tbody>\n</table>"


def _bars(text: str) -> str:
    """Escaped for Markdown: what would end a cell or start emphasis or a tag."""
    return re.sub(r"([|*<])", r"\\\1", text)


def _latex_title(column: BoardColumn) -> str:
    base, mark, index, rest = re.fullmatch(r"([^_^ ]*)([_^]?)(\S*)(.*)", column.symbol).groups()
    symbol = rf"${tex(base)}{mark}{{\mathrm{{{tex(index.strip('{}'))}}}}}$" if mark else tex(base)
    return f"{symbol}{tex(rest)}~{column.metric.latex_arrow}"
