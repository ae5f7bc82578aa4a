"""The pages are written for a tired reader: short lines, short sentences, links that lead somewhere."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sigforge.methods.registry import METHODS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
COLUMNS, WORDS = 120, 40
BLOCK = re.compile(r"\s*(\||#|!\[|<)")
"""Tables, headings, pictures and markup are no sentences."""
ITEM = re.compile(r"^\s*([-*] |\d+\. )")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def paragraphs(text: str) -> Iterator[str]:
    """What is prose on a page, a paragraph or an item of a list each."""
    found: list[str] = []
    for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines():
        if not line.strip() or BLOCK.match(line) or ITEM.match(line):
            yield " ".join(found)
            found = []
        if line.strip() and not BLOCK.match(line):
            found.append(ITEM.sub("", line).strip())
    yield " ".join(found)


def sentences(paragraph: str) -> list[str]:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "code", paragraph))
    plain = re.sub(r"\b(Eqs?|Figs?|al|e\.g|i\.e|vs)\.", r"\1", plain)
    return re.split(r"(?<=[.!?:])[\"*)]*\s+", plain)


def test_a_long_sentence_is_seen():
    text = "# Title\n\n| a table " + "word " * 60 + "|\n\n- Short. And " + "word " * 41 + "end.\n"
    assert [len(s.split()) > WORDS for p in paragraphs(text) for s in sentences(p)].count(True) == 1


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_lines_fit(page):
    lines = enumerate(page.read_text().splitlines(), 1)
    assert [
        (n, len(x)) for n, x in lines if len(x) > COLUMNS and not x.lstrip().startswith("|") and "://" not in x
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_sentences_are_short(page):
    assert not re.search(r"^(<{7}|>{7}) ", page.read_text(), re.MULTILINE)
    said = [sentence for paragraph in paragraphs(page.read_text()) for sentence in sentences(paragraph)]
    assert [sentence for sentence in said if len(sentence.split()) > WORDS] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_nothing_is_said_of_what_a_reader_does_not_have():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    files = [
        ROOT / name for name in listed.stdout.split("\0") if name.endswith((".py", ".md", ".yaml", ".toml", ".j2"))
    ]
    assert listed.returncode or len(files) > 300
    here = Path(__file__).resolve()
    texts = {path: path.read_text() for path in files if path.exists() and path.resolve() != here}
    assert [named(path) for path, text in texts.items() if re.search(r"\bthe mission", text, re.IGNORECASE)] == []
    assert [named(path) for path in PAGES if "../shared" in path.read_text() or "DESIGN" in path.read_text()] == []


def test_every_paper_of_a_method_can_be_cited():
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    cited = {(entry["authors"][0]["name"].split()[0], entry["year"]) for entry in references}
    papers = {
        (m.paper.replace(",", " ").split()[0], m.year) for m in METHODS.entries() if m.year and "none:" not in m.paper
    }
    assert papers and papers - cited == set()
