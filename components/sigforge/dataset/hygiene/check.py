"""Checking a manifest: measured over processes, found, written as a table and a page."""

from dataclasses import dataclass
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.core.parallel import run_units
from sigforge.core.progress import progress
from sigforge.dataset.hygiene.facts import PairFacts, measure_pair
from sigforge.dataset.hygiene.findings import FINDINGS, HygieneFinding, findings_of
from sigforge.dataset.hygiene.page import hygiene_page
from sigforge.dataset.tables import read_pairs, read_photos, write_table

TABLE, PAGE = "findings.parquet", "hygiene.html"


@dataclass(frozen=True)
class HygieneReport:
    """What a check found, and where it is written."""

    facts: tuple[PairFacts, ...]
    findings: tuple[HygieneFinding, ...]
    table: Path
    page: Path

    @property
    def uncertain(self) -> int:
        """Pairs whose shift could not be told."""
        return sum(fact.shift is not None and fact.shift.certainty < 0.25 for fact in self.facts)


def check_manifest(manifest: Path, out: Path, *, photos: Path | None = None, workers: int = 1) -> HygieneReport:
    """Measure every pair of a manifest and write ``findings.parquet`` and ``hygiene.html``.

    Args:
        manifest: ``pairs.parquet``.
        out: folder of the two files.
        photos: ``photos.parquet`` whose photographs must not look like test images.
        workers: processes.

    Raises:
        UserError: no such table, or no pair in it.
    """
    pairs = read_pairs(manifest)
    if not pairs:
        raise UserError(f"{manifest}: holds no pair: nothing to check")
    facts = []
    with progress("check", len(pairs)) as bar:
        for fact in run_units(measure_pair, pairs, workers=workers):
            facts.append(fact)
            bar.advance()
    facts.sort(key=lambda fact: fact.pair.pair_id)
    findings = findings_of(facts, read_photos(photos) if photos else ())
    write_table(findings, out / TABLE, FINDINGS)
    write_atomic(out / PAGE, hygiene_page(f"{manifest}: {len(pairs)} pairs", facts, findings))
    return HygieneReport(tuple(facts), tuple(findings), out / TABLE, out / PAGE)
