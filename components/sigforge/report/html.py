"""The page: everything the report shows, in one file that needs neither network nor script."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sigforge.evaluation.gain import GainTable
from sigforge.evaluation.result_tables import SIMULATED_DATA, ResultTable
from sigforge.methods.registry import FusionMethod
from sigforge.metrics import BOTH, Metric
from sigforge.report.gallery import GalleryScene, Picture
from sigforge.report.pair_realism import TaskPairRealism
from sigforge.report.realism import TaskRealism
from sigforge.training.history import validation
from sigforge.training.loop import HistoryRow

TEMPLATE = "page.html.j2"

TITLES = {
    "vif": "Infrared and visible",
    "mif": "Medical",
    "mfif": "Multi-focus",
    "mef": "Multi-exposure",
}


@dataclass(frozen=True)
class SignalPart:
    """One modality of Fig. 6: the three example images and the plots.

    Attributes:
        distances: per subband its name, the distance to the target before and after modulation.
        images: how many photographs and target images were measured.
        window: which channel and samples the curves show.
    """

    modality: str
    pictures: tuple[Picture, ...]
    svg: str
    distances: Sequence[tuple[str, float, float]]
    images: int
    window: str

    @property
    def nearer(self) -> int:
        """In how many subbands modulation came nearer to the target."""
        return sum(after < before for _, before, after in self.distances)


@dataclass(frozen=True)
class ModulationRow:
    """Validation errors of one PLGN channel, both terms of Eq. (7), without and with modulation."""

    channel: str
    signal_identity: float
    signal: float
    pixel_identity: float
    pixel: float


@dataclass(frozen=True)
class TaskPart:
    """All that the page shows of one task; ``simulated`` says that its pairs were never measured by a sensor."""

    task: str
    simulated: bool
    tables: Sequence[ResultTable]
    gain: GainTable
    colour: str
    model: str
    manifest: str
    gallery: Sequence[GalleryScene]
    synthetic: Sequence[GalleryScene]
    real: Sequence[GalleryScene]
    signals: Sequence[SignalPart]
    realism: TaskRealism
    pair_realism: TaskPairRealism
    curves: str
    systems: Sequence[tuple[str, str]]
    modulation: Sequence[ModulationRow]
    validation: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class ReportPage:
    """The whole page.

    Attributes:
        facts: (name, value) of the header.
        origins: (set, source, licence, count) of all images.
    """

    facts: Sequence[tuple[str, str]]
    origins: Sequence[tuple[str, str, str, int]]
    tasks: Sequence[TaskPart]
    pretrain_curves: str
    pretrain: Sequence[tuple[str, float]]
    metrics: Sequence[Metric]
    methods: Sequence[FusionMethod]

    @property
    def simulated(self) -> list[str]:
        """Tasks whose pairs are simulated."""
        return [part.task for part in self.tasks if part.simulated]


def render_page(page: ReportPage) -> str:
    """The page as HTML; the same page gives the same text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"symbol": symbol, "words": words, "change": percent_change}
    shared = {"page": page, "titles": TITLES, "mark": SIMULATED_DATA, "places": places, "both": BOTH}
    return environment.get_template(TEMPLATE).render(shared)


def modulation_rows(history: Sequence[HistoryRow]) -> list[ModulationRow]:
    """The validation of PLGN, one row per channel."""
    found = dict(validation(history))
    kinds = ("signal_identity", "signal", "pixel_identity", "pixel")
    channels = [name.removesuffix("_signal_identity") for name in found if name.endswith("_signal_identity")]
    return [ModulationRow(channel, *(found[f"{channel}_{kind}"] for kind in kinds)) for channel in channels]


def symbol(text: str) -> Markup:
    """A metric's symbol with its index as a subscript.

    Example:
        >>> symbol("Q_G")
        Markup('Q<sub>G</sub>')
        >>> symbol("Q_G min"), symbol("N^{AB/F}")
        (Markup('Q<sub>G</sub> min'), Markup('N<sup>AB/F</sup>'))
    """
    start, space, words = text.partition(" ")
    for mark, tag in (("_", "sub"), ("^", "sup")):
        head, _, index = start.partition(mark)
        if index:
            return Markup("{}<{}>{}</{}>{}").format(head, Markup(tag), index.strip("{}"), Markup(tag), space + words)
    return escape(text)


def words(name: str) -> str:
    """A logged name as words.

    Example:
        >>> words("psnr_without_high"), words("boundary1_2")
        ('PSNR without high subbands, dB', 'boundary 2 of submodule 1, fraction of π')
    """
    if cut := re.fullmatch(r"boundary(\d)_(\d)", name):
        return f"boundary {cut[2]} of submodule {cut[1]}, fraction of π"
    known = {
        "psnr": "PSNR, dB",
        "psnr_without_high": "PSNR without high subbands, dB",
        "psnr_without_low": "PSNR without the low subband, dB",
    }
    return known.get(name, name.replace("_", " "))


def percent_change(after: float, before: float) -> str:
    """Relative change in percent, with its sign.

    Example:
        >>> percent_change(0.5, 1.0), percent_change(1.0, 0.0)
        ('−50 %', '')
    """
    return f"{100 * (after - before) / before:+.0f} %".replace("-", "−") if before else ""


def places(table: ResultTable) -> list[tuple[str, bool, int, int]]:
    """(method, ours, metrics in which it is first, second), most firsts first."""
    ranks = [(row, [cell.rank for cell in row.cells]) for row in table.methods]
    counts = [(row.method, row.ours, found.count(1), found.count(2)) for row, found in ranks]
    return sorted(counts, key=lambda entry: (-entry[2], -entry[3], entry[0]))
