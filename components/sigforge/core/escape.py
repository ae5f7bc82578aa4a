r"""Text from outside (names of files, methods, photographers) in a terminal, Markdown, LaTeX, HTML, CSV, MLflow.

One function for each target, and no other one in the library. What a target cannot hold at all, control characters and
the halves of broken file names, is shown as ``\x1b`` everywhere, so that it is seen and does nothing.
"""

import csv
import hashlib
import html
import io
import re
import unicodedata
from collections.abc import Iterable

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories without a picture of their own: controls, direction marks, lone surrogates, line separators."""

_MARKDOWN = re.compile(r"[\\`|*<\[\]~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
"""What starts a span, a tag, a link or an entity, or ends a cell; an underscore only at the edge of a word."""

_LATEX = {char: rf"\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "–": "--",
    "→": r"$\to$",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "*": "{*}",
    "[": "{[}",
}
"""A star or a bracket after the end of a row would be read as its argument."""


_FORMULA = re.compile(r"[=@]|[+-].*[(|!=]")
_NOT_MLFLOW = re.compile(r"[^A-Za-z0-9_.: -]")
_MLFLOW_KEY = 200


def escape_terminal(text: str) -> str:
    r"""One line that moves no cursor, sets no colour and turns no writing direction.

    What rich prints needs :class:`rich.text.Text` besides, because rich reads square brackets.

    Example:
        >>> escape_terminal("night\x1b[31m.png")
        'night\\x1b[31m.png'
    """
    return "".join(_shown(char) if unicodedata.category(char) in _UNSEEN else char for char in text)


def escape_markdown(text: str) -> str:
    r"""Text in a cell or a line of GitHub Markdown.

    Example:
        >>> print(escape_markdown("a_b|c <i>"))
        a_b\|c \<i>
    """
    return _MARKDOWN.sub(r"\\\g<0>", escape_terminal(text))


def escape_latex(text: str) -> str:
    r"""Text in LaTeX, outside of mathematics.

    Example:
        >>> print(escape_latex("my_method, 95 %"))
        my\_method, 95 \%
    """
    return "".join(_LATEX.get(char, char) for char in escape_terminal(text))


def escape_html(text: str) -> str:
    """Text between tags, or in the quotes of an attribute.

    Example:
        >>> escape_html('<b> & "c"')
        '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return html.escape(escape_terminal(text))


def escape_code(text: str) -> str:
    """A span of code in Markdown, in a cell or a line; the text may hold backticks.

    Example:
        >>> print(escape_code("a`b|c"), escape_code("plain"))
        ``a`b\\|c`` `plain`
    """
    text = escape_terminal(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{space}{text}{space}{fence}"


def escape_mlflow(key: str) -> str:
    """The key of a parameter, metric or tag of MLflow: letters, digits, ``_ - . :``, spaces; at most 250 characters.

    A key that had to be changed carries eight digits of its hash, so that two keys never become one.

    Example:
        >>> escape_mlflow("fuse.vif.gff"), escape_mlflow("run [ours]")
        ('fuse.vif.gff', 'run _ours_-6f837d02')
    """
    safe = _NOT_MLFLOW.sub("_", key)[:_MLFLOW_KEY]
    safe = safe if safe.strip(". ") else "_"
    if safe == key:
        return key
    return f"{safe}-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:8]}"


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    r"""Rows as comma-separated values, a line each.

    Example:
        >>> csv_text([("method", "q_g"), ("a,b", 0.5)])
        'method,q_g\n"a,b",0.5\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([_no_formula(escape_terminal(cell)) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()


def _no_formula(text: str) -> str:
    """A spreadsheet computes what begins like this; behind an apostrophe it is text."""
    return f"'{text}" if _FORMULA.match(text) else text


def _shown(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
