"""Write docs/metrics.md: what every metric is, by the registry, and how near it is to published code.

``python docs/metrics.py``; the reference values lie in the folder that SIGFORGE_REFERENCE names. Without them ``python
docs/metrics.py --registry`` writes what the registry says and keeps the calibration as it is.
"""

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.core.images import read_image
from sigforge.metrics import Metric, get_metric, list_metrics, score

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = Path(os.environ.get("SIGFORGE_REFERENCE", ROOT.parent / "shared/reference"))
PAGE = ROOT / "docs" / "metrics.md"

INTRODUCTION = """# Metrics

Made by `python docs/metrics.py` from the registry (`components/sigforge/metrics`) and measured values: do not edit.

`A` and `B` are the sources, `F` the fused image, `R` a true fused image, all of them 8-bit grey levels 0..255. Variants
in use have names of their own; the convention says which one it is and who uses it. Sources: `many` metrics take two or
more, `pair` metrics exactly two. The rank column of a leaderboard counts one metric of those that are variants of each
other. Where the best value is a target (→0), leaderboards show and compare the distance from it.

## Whether both sources are kept

Most metrics add what the fused image shares with A to what it shares with B. A copy of one source shares everything
with it, so copies score high: on RoadScene the infrared image alone beats every method in Q_G, Q_M and VIF. Hence
three things that every table has beside them.

- **Parts**: `q_g_a`, `q_g_b`, `q_g_min` and so on for Q_M, Q_P, MI, VIF, SSIM and FMI. The part of source S is the
  metric itself where S is the only source; `_min` is the smaller part. MI, VIF and SSIM are sums of their parts.
  Q_G's part is the plain mean of Q over the pixels, since the strength of the edges only decides between sources.
  Q_M's divides per level by the source's own energy. Q_P's compares with the source's own features alone, over the
  pixels where it has one. FMI's are the terms of `fmi_symmetric`. Parts do not count in the mean rank of a
  leaderboard.
- **Rows** `a alone`, `b alone` and `collage`. The collage shows in every 16x16 window the source whose contrast ranks
  higher among the windows of its own image. They are marked, and take no place and no rank. A method is called a
  copy in a note if its mean distance to a source is at most 2 % of that between both sources (`distance_a`,
  `distance_b`).
- **`both`**: the quadratic mean of a method's ranks by `q_g_min`, `q_p_min`, `vif_min`, `ssim_local_min` and `nabf`.
  Copies and collage are placed between the methods, each on its own, from 0.5 (before all) to half a place behind
  all.

Why not the plain mean of the ranks by `q_g_min`, `q_p_min`, `vif_min`, `ssim_min` and `nabf`: a collage can win that.
The table has six pairs of each set, crops of 256, and the classical methods. It shows the position among them of
collages of 16x16 and of 32x32 windows (1: before all methods).

| set | methods | plain mean | squares, `ssim_min` | plain mean, `ssim_local_min` | `both` |
| --- | ---: | ---: | ---: | ---: | ---: |
| RoadScene | 11 | 2, 2 | 4, 2 | 4, 4 | 6, 6 |
| MSRS | 11 | 2, 1 | 3, 2 | 5, 3 | 8, 6 |
| Harvard CT | 11 | 5, 2 | 8, 3 | 4, 2 | 8, 6 |
| Harvard PET | 11 | 1, 1 | 1, 1 | 3, 3 | 5, 5 |
| Harvard SPECT | 11 | 1, 1 | 4, 2 | 4, 4 | 8, 7 |
| MFIFB | 12 | 3, 2 | 3, 1 | 3, 3 | 5, 5 |
| MEFB | 11 | 8, 8 | 9, 8 | 11, 9 | 11, 10 |

![PET, MRI, their collage, and what two_scale, max and mean make of them](both.png)

Simulated pairs of the demo: PET, MRI, the collage, `two_scale`, `max`, `mean`. The same on the real pairs:

On MRI-PET the collage loses every fold of the brain that PET covers, and is torn, as anybody sees. But a window of
the one source counts in full for that source's part, so it led Q_G, Q_P, VIF and SSIM at once. `ssim_local_min` asks
in every window for the source that is kept worse. In a window that shows one source, that is the similarity of the
sources to each other, whatever is chosen: a collage of any windows has what a copy has, and less at its seams.
Squaring the ranks counts weak sides more. Copies are ninth or later by `both`, seventh or later by any of the four.

What `both` does not say: whether the picture is good. On many sets the mean leads it, which keeps half of
everything and invents nothing, at the cost of contrast. SD, Q_G and Q_M say that. For multi-focus pairs a collage
without visible seams is the right answer, and SSIM to the blurred source says little. Read it beside the other
metrics, not alone.
"""

CALIBRATION = """## Calibration

Largest relative error against the field's published MATLAB code on real images: 15 fused images of TNO, Lytro, MRI-CT
and MRI-PET, run under GNU Octave 7.3. Fragile: on so many of the images the published value is undefined or depends on
rounding, so that it is not compared. Metrics that are not listed have no published value here. Their own tests check
them against the definition.
"""

HEADS = ("name", "symbol", "best", "range", "reference", "sources", "variant of", "convention", "paper", "equation")


@dataclass(frozen=True)
class Calibrated:
    """Worst agreement of one metric.

    Attributes:
        images, fragile: how many were compared, and how many left out.
        error: relative; NaN if none was compared.
        where: the image it was found on.
    """

    name: str
    images: int
    fragile: int
    error: float
    where: str


def main(reference: Path = REFERENCE, page: Path = PAGE) -> int:
    """Measure and write; exit code 2 if there is nothing to measure against."""
    try:
        write_atomic(page, render(calibrate(read_records(reference), reference / "golden_images")))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def update(page: Path = PAGE) -> int:
    """Write what the registry says; the calibration stays."""
    calibration = page.read_text().partition("## Calibration")
    write_atomic(page, registry_part() + "".join(calibration[1:]))
    return 0


def read_records(reference: Path) -> list[dict]:
    """The reference values.

    Raises:
        UserError: they are not there.
    """
    path = reference / "metrics_golden.json"
    if not path.exists():
        raise UserError(f"{path}: missing: without reference values no calibration is written")
    return json.loads(path.read_text())


def calibrate(records: Sequence[dict], images: Path) -> list[Calibrated]:
    """Every registered metric that has a reference value, compared on every image where it is not fragile."""
    found: dict[str, list[tuple[float, str]]] = {}
    fragile = dict.fromkeys(list_metrics(), 0)
    for record in records:
        unfit = set(record["fragile"])
        compared = [name for name in list_metrics() if name in record["values"] and name not in unfit]
        planes = (batch(images / record[which]) for which in ("fused", "a", "b"))
        where = f"{record['dataset']} {record['pair']} {record['method']}"
        for name, value in score(*planes, metrics=compared).items():
            found.setdefault(name, []).append((relative_error(value.item(), record["values"][name]), where))
        for name in fragile.keys() & unfit:
            fragile[name] += 1
    worst = {name: max(errors) for name, errors in found.items()}
    return [
        Calibrated(name, len(found.get(name, ())), fragile[name], *worst.get(name, (math.nan, "")))
        for name in list_metrics()
        if name in found or fragile[name]
    ]


def relative_error(value: float, expected: float) -> float:
    """Of ``value``; infinite where it is undefined, so that it is never taken for agreement."""
    error = abs(value - expected) / (abs(expected) or 1.0)
    return math.inf if math.isnan(error) else error


def render(calibration: Iterable[Calibrated]) -> str:
    """The whole page."""
    heads = ("name", "images", "largest relative error", "found on", "fragile on")
    rows = ([f"`{c.name}`", str(c.images), error_text(c), c.where, str(c.fragile or "none")] for c in calibration)
    return registry_part() + "\n".join([CALIBRATION, table(heads, rows), ""])


def registry_part() -> str:
    """The page up to the calibration."""
    metrics = sorted(map(get_metric, list_metrics()), key=lambda metric: metric.family)
    parts = [INTRODUCTION]
    for family, members in groupby(metrics, key=lambda metric: metric.family):
        parts.append(f"## {family.replace('_', ' ').capitalize()}\n\n{table(HEADS, map(cells, members))}\n")
    return "\n".join([*parts, ""])


def cells(metric: Metric) -> Iterator[str]:
    """What the registry says about a metric, in the order of :data:`HEADS`."""
    yield f"`{metric.name}`"
    yield metric.symbol
    direction = "higher" if metric.higher_is_better else "lower"
    yield metric.arrow if metric.target is not None or not metric.judged else f"{metric.arrow} {direction}"
    yield "[" + ", ".join(f"{bound:.5g}".replace("inf", "∞") for bound in metric.range) + "]"
    yield "needed" if metric.needs_reference else "no"
    yield metric.sources
    yield f"`{metric.variant_of}`" if metric.variant_of else ""
    yield metric.convention
    yield metric.paper
    # The back-ticks keep Markdown from reading LaTeX.
    yield f"$`{metric.equation}`$"


def table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *([re.sub(r"\|", r"\\|", cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def error_text(calibrated: Calibrated) -> str:
    """Two digits; errors of the last bits are told as such."""
    if math.isnan(calibrated.error):
        return "–"
    return "below 1e-12" if calibrated.error < 1e-12 else f"{calibrated.error:.1e}"


def batch(path: Path) -> torch.Tensor:
    """One image as (1, 1, H, W)."""
    return torch.from_numpy(luma(read_image(path)[0]))[None, None]


if __name__ == "__main__":
    sys.exit(update() if "--registry" in sys.argv[1:] else main())
