import csv
import io
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from sigforge.cli.console import named
from sigforge.core import escape as module
from sigforge.core.escape import (
    csv_text,
    escape_code,
    escape_html,
    escape_latex,
    escape_markdown,
    escape_mlflow,
    escape_terminal,
)

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=60)
SPECIAL = st.sampled_from(
    [*list("|\\`*_[]<>&~#$%^{}\"'!()=+-@;:./ \t\n\x1b\u202e�\u200b"), "&amp;", "[/]", "**", "\r\n", "https://a.b"]
)
ANY = st.lists(SPECIAL | st.characters(), max_size=12).map("".join)

HOSTILE = "a|b\n\x1b[2J<script>&lt;_x_ \\ ‮ [t](u) \udcff"


@pytest.mark.parametrize("escape", [escape_terminal, escape_markdown, escape_latex, escape_html])
def test_nothing_unprintable_is_left_and_words_stay(escape):
    text = escape(HOSTILE)
    assert "\n" not in text and "\x1b" not in text and "‮" not in text and "\udcff" not in text
    text.encode()
    assert escape("plain words, 3.5 é") == "plain words, 3.5 é"


def test_markdown_leaves_no_cell_span_link_tag_or_entity():
    assert escape_markdown("a|b *c* `d` <e> [f](g) &amp; ~h~ _i_ x_y") == (
        r"a\|b \*c\* \`d\` \<e> \[f\](g) \&amp; \~h\~ \_i\_ x_y"
    )


def test_latex_leaves_no_command_and_no_argument_of_a_row():
    assert escape_latex(r"\x{1}$^~#&%_") == (r"\textbackslash{}x\{1\}\$\textasciicircum{}\textasciitilde{}\#\&\%\_")
    assert escape_latex("[2em] *") == "{[}2em] {*}"


def test_html_reads_back_as_what_was_written():
    class Reader(HTMLParser):
        text = ""

        def handle_data(self, data):
            self.text += data

        def handle_starttag(self, tag, attrs):
            raise AssertionError(tag)

    reader = Reader(convert_charrefs=True)
    reader.feed(escape_html("<b onclick='x'> & \"c\" &lt;"))
    reader.close()
    assert reader.text == "<b onclick='x'> & \"c\" &lt;"


def test_csv_reads_back_as_what_was_written():
    rows = [["a,b", 'say "x"', ""], ["1", "2.5", "é"]]
    assert list(csv.reader(io.StringIO(csv_text(rows)))) == rows
    assert csv_text([(None, 3, 0.25, "two\nlines")]) == ",3,0.25,two\\nlines\n"


@REPEATABLE
@given(ANY)
def test_a_terminal_shows_one_line_without_controls(text):
    shown = escape_terminal(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1 and shown == shown.encode().decode()


@REPEATABLE
@given(ANY)
def test_a_table_on_a_terminal_shows_the_name(text):
    console = Console(width=10_000, file=io.StringIO(), color_system=None)
    console.print(named(text), soft_wrap=True)
    assert console.file.getvalue() == escape_terminal(text) + "\n"


@REPEATABLE
@given(ANY)
def test_a_markdown_cell_reads_back(text):
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for escaped, kinds in ((escape_markdown(text), {"text"}), (escape_code(text), {"text", "code_inline"})):
        tokens = markdown.parse(f"| head | end |\n| --- | --- |\n| {escaped} | end |\n")
        cells = [token for token in tokens if token.type == "inline"]
        assert len(cells) == 4 and cells[3].content == "end"
        assert {child.type for child in cells[2].children} <= kinds | {"text_special"}
        assert "".join(child.content for child in cells[2].children).split() == escape_terminal(text).split()


@REPEATABLE
@given(ANY)
def test_latex_has_no_special_character_left(text):
    escaped = escape_latex(text)
    assert escaped.count("{") - escaped.count(r"\{") == escaped.count("}") - escaped.count(r"\}")
    rest = escaped
    for piece in sorted(module._LATEX.values(), key=len, reverse=True):
        rest = rest.replace(piece, "")
    assert not set(rest) & set("&%$#_{}\\~^[*")
    assert "".join(module._LATEX.get(char, char) for char in escape_terminal(text)) == escaped


@REPEATABLE
@given(ANY)
def test_html_reads_back(text):
    class Reader(HTMLParser):
        def __init__(self):
            super().__init__(convert_charrefs=True)
            self.data, self.values = "", []

        def handle_starttag(self, tag, attrs):
            self.values.append((tag, attrs))

        def handle_data(self, data):
            self.data += data

    reader = Reader()
    reader.feed(f'<p title="{escape_html(text)}">{escape_html(text)}</p>')
    reader.close()
    assert reader.data == escape_terminal(text) and reader.values == [("p", [("title", escape_terminal(text))])]


@REPEATABLE
@given(st.lists(ANY, min_size=1, max_size=4))
def test_csv_reads_back_and_computes_nothing(cells):
    (row,) = csv.reader(io.StringIO(csv_text([cells])))
    assert [cell.removeprefix("'") for cell in row] == [escape_terminal(cell).removeprefix("'") for cell in cells]
    assert not any(cell[:1] in ("=", "@") for cell in row)


@pytest.mark.parametrize(
    ("cell", "printed"),
    [("=1+1", "'=1+1"), ("-2+cmd|' /C calc'!A0", "'-2+cmd|' /C calc'!A0"), ("-001", "-001"), ("a=b", "a=b")],
)
def test_a_formula_is_text(cell, printed):
    assert list(csv.reader(io.StringIO(csv_text([[cell]])))) == [[printed]]


@REPEATABLE
@given(ANY, ANY)
def test_mlflow_takes_every_key_and_keeps_two_apart(text, other):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

    for check in (_validate_metric_name, _validate_param_name, _validate_tag_name):
        check(escape_mlflow(text))
    assert (escape_mlflow(text) == escape_mlflow(other)) == (text == other)
