"""``sigforge data check``."""

from pathlib import Path

from rich.table import Table

from sigforge.cli.console import show
from sigforge.dataset.hygiene.check import check_manifest
from sigforge.dataset.hygiene.findings import HygieneFinding, counts


def show_hygiene(where: Path, photos: Path | None, out: Path | None, *, workers: int) -> int:
    """Check a manifest and print what was found; exit code 1 if something is wrong.

    Args:
        where: the manifest, or its folder.
        photos: likewise of photographs.
        out: folder of table and page.
        workers: processes.

    Raises:
        UserError: no such table, or no pair in it.
    """
    manifest = where / "pairs.parquet" if where.is_dir() else where
    shots = photos / "photos.parquet" if photos and photos.is_dir() else photos
    report = check_manifest(manifest, out or manifest.parent / "hygiene", photos=shots, workers=workers)
    first: dict[tuple[str, str], HygieneFinding] = {}
    for finding in report.findings:
        first.setdefault((finding.grade, finding.check), finding)
    table = Table("grade", "check", "findings", "the first")
    for (grade, check), count in counts(report.findings).items():
        one = first[grade, check]
        told = f"{one.pair_id}{f' and {one.other}' if one.other else ''}: {one.detail}"
        table.add_row(grade, check, str(count), told)
    show(table)
    print(
        f"{manifest}: {len(report.facts)} pairs, {len(report.findings)} findings; shift of {report.uncertain} uncertain"
    )
    print(f"page: {report.page}, table: {report.table}")
    return 1 if any(finding.grade == "wrong" for finding in report.findings) else 0
