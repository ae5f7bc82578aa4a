import csv
import io
from html.parser import HTMLParser

import pytest

from sigforge.core.escape import csv_text, escape_html, escape_latex, escape_markdown, escape_terminal

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
