"""The page of a data set's hygiene: one file that needs neither network nor script."""

import base64
from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
from markupsafe import Markup, escape

from sigforge.core.images import encode_png, read_image, to_uint8
from sigforge.core.subsets import spread
from sigforge.dataset.hygiene.facts import BINS, PairFacts
from sigforge.dataset.hygiene.findings import HygieneFinding, counts
from sigforge.dataset.tasks import modalities

SAMPLES, THUMB, SHOWN = 6, 160, 200
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd}
td.n{text-align:right}.wrong{color:#b00020;font-weight:600}.look{color:#8a5a00}.note{color:#555}
figure{display:inline-block;margin:.3rem}figcaption{font-size:12px;color:#555}svg{background:#f6f6f6}"""


def hygiene_page(title: str, facts: Sequence[PairFacts], findings: Sequence[HygieneFinding]) -> str:
    """The HTML of a page: counts, what was found, samples, histograms, kinds of files, each finding.

    Args:
        title: of the page.
        facts: of all pairs.
        findings: the gravest first.
    """
    readable = [fact for fact in facts if fact.sides]
    parts = [
        Markup("<h1>{}</h1>").format(title),
        _table("Pairs", ("split", "sub-task", "pairs"), _by_split(facts)),
        _summary(findings),
        _samples(readable),
        _histograms(readable),
        _table("Kinds of files", ("image", "width x height", "channels", "bits", "files"), _kinds(readable)),
        _findings(findings),
    ]
    head = Markup("<!doctype html><html lang=en><meta charset=utf-8><title>{}</title><style>{}</style>")
    return str(head.format(title, Markup(STYLE)) + Markup("\n").join(parts) + Markup("</html>\n"))


def _by_split(facts: Sequence[PairFacts]) -> list[tuple[object, ...]]:
    found = Counter((fact.pair.split or "none", fact.pair.subtask) for fact in facts)
    return [(*key, count) for key, count in sorted(found.items())]


def _kinds(facts: Sequence[PairFacts]) -> list[tuple[object, ...]]:
    found: Counter[tuple[object, ...]] = Counter()
    for fact in facts:
        for name, side in zip(modalities(fact.pair.task, fact.pair.subtask), fact.sides, strict=True):
            found[name, f"{side.width} x {side.height}", side.channels, side.bits] += 1
    rows = [(*key, count) for key, count in found.most_common(20)]
    return [*rows, ("", f"and {len(found) - 20} more kinds", "", "", "")] if len(found) > 20 else rows


def _histograms(facts: Sequence[PairFacts]) -> Markup:
    """Mean histogram of each modality, as bars."""
    by_name: dict[str, list[tuple[float, ...]]] = {}
    for fact in facts:
        for name, side in zip(modalities(fact.pair.task, fact.pair.subtask), fact.sides, strict=True):
            by_name.setdefault(name, []).append(side.histogram)
    figures = []
    for name, histograms in by_name.items():
        mean = np.mean(histograms, axis=0)
        bars = Markup("").join(
            Markup('<rect x="{}" y="{:.1f}" width="7" height="{:.1f}" fill="#456"/>').format(8 * n, 80 - h, h)
            for n, h in enumerate(80 * mean / mean.max())
        )
        drawn, told = '<svg width="{}" height="80">{}</svg>', "{}: grey levels, black to white"
        figure = f"<figure>{drawn}<figcaption>{told}</figcaption></figure>"
        figures.append(Markup(figure).format(8 * BINS, bars, name))
    return Markup("<h2>Histograms</h2>") + Markup("").join(figures)


def _samples(facts: Sequence[PairFacts]) -> Markup:
    figures = [
        Markup("<figure>{}{}<figcaption>{} ({})</figcaption></figure>").format(
            _thumb(fact.pair.a_path), _thumb(fact.pair.b_path), fact.pair.pair_id, fact.pair.split or "no split"
        )
        for fact in spread(facts, SAMPLES)
    ]
    return Markup("<h2>Samples</h2>") + Markup("").join(figures)


def _thumb(path: str) -> Markup:
    pixels = read_image(path)[0]
    scale = THUMB / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    data = base64.b64encode(encode_png(to_uint8(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)))).decode()
    return Markup('<img alt="" src="data:image/png;base64,{}">').format(data)


def _summary(findings: Sequence[HygieneFinding]) -> Markup:
    rows = [(grade, check, count) for (grade, check), count in counts(findings).items()]
    return _table("Found", ("grade", "check", "findings"), rows) if rows else Markup("<h2>Found</h2><p>Nothing.</p>")


def _findings(findings: Sequence[HygieneFinding]) -> Markup:
    rows = [
        (one.grade, one.check, one.pair_id, one.other, f"{one.value:.2f}", f"{one.certainty:.2f}", one.detail)
        for one in findings[:SHOWN]
    ]
    more = f" (the first {SHOWN} of {len(findings)}; all are in findings.parquet)" if len(findings) > SHOWN else ""
    return _table(f"Each{more}", ("grade", "check", "pair", "other", "value", "certainty", "what"), rows)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    lines = [Markup("").join(Markup("<th>{}</th>").format(name) for name in header)]
    lines += [Markup("").join(_cell(value) for value in row) for row in rows]
    body = Markup("").join(Markup("<tr>{}</tr>").format(line) for line in lines)
    return Markup("<h2>{}</h2><table>{}</table>").format(title, body)


def _cell(value: object) -> Markup:
    kind = f" class={value}" if value in ("wrong", "look", "note") else " class=n" if isinstance(value, int) else ""
    return Markup("<td{}>{}</td>").format(Markup(kind), escape(value))
