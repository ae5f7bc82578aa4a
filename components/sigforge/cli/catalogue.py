"""``sigforge data list``, ``show``, ``import`` and ``guess``."""

import sys
from pathlib import Path

from rich.table import Table

from sigforge.cli.console import show
from sigforge.cli.inputs import report_left_out
from sigforge.core.errors import UserError
from sigforge.dataset.catalogue.entry import CatalogueEntry, PairRule, catalogue, entry_of
from sigforge.dataset.catalogue.guess import guess_rules
from sigforge.dataset.catalogue.importing import import_dataset
from sigforge.dataset.catalogue.rules import images_below
from sigforge.dataset.tasks import MODALITIES

SHOWN = 10


def show_catalogue() -> int:
    """Print a table of all entries."""
    table = Table("name", "title", "task", "published", "licence", "got by")
    for entry in catalogue().values():
        size = next((f"{count} {name}" for name, count in entry.counts.items()), "not known")
        way = "git" if entry.get.git else "address" if entry.get.url else "hand"
        table.add_row(entry.name, entry.title, entry.task, size, entry.licence, way)
    show(table)
    return 0


def show_entry(name: str) -> int:
    """Print one entry in full.

    Raises:
        UserError: no such name.
    """
    entry = entry_of(name)
    way = entry.get.git or entry.get.url or entry.by_hand
    lines = [
        ("title", entry.title),
        ("task", entry.task),
        ("home", entry.home),
        ("get", f"{way}{f' at {entry.get.commit}' if entry.get.commit else ''}"),
        ("sha256", entry.get.sha256 or "not known"),
        ("licence", f"{entry.licence} {entry.licence_url}".strip()),
        ("published", ", ".join(f"{count} {kind}" for kind, count in entry.counts.items()) or "not known"),
        *(("layout", "; ".join(_templates(rule) for rule in layout)) for layout in entry.layouts),
        *(("note", note) for note in entry.notes),
        *(("source", source) for source in entry.sources),
    ]
    width = max(len(label) for label, _ in lines) + 2
    print("\n".join(f"{label:<{width}}{text}" for label, text in lines))
    print(f"\n{entry.citation.strip()}")
    return 0


def import_named(entry: CatalogueEntry, root: Path, out: Path, *, seed: int, workers: int) -> int:
    """Write a manifest and say what is odd; exit code 1 if anything is.

    Args:
        entry: of the catalogue.
        root: where it was unpacked.
        out: folder of the manifest.
        seed: of the split.
        workers: processes.

    Raises:
        UserError: as :func:`sigforge.dataset.catalogue.importing.import_dataset`.
    """
    report = import_dataset(entry, root, out, seed=seed, workers=workers)
    report_left_out(report.left_out[:SHOWN])
    for line in report.odd:
        print(f"odd: {line}", file=sys.stderr)
    splits = ", ".join(f"{count} {name}" for name, count in report.splits.items())
    print(
        f"{report.manifest}: {report.records} {'photographs' if entry.task == 'photos' else 'pairs'} of {entry.title}"
    )
    print(f"layout: {'; '.join(report.layout)}" + (f"\nsplits: {splits}" if splits else ""))
    if report.left_out:
        print(f"left out: {len(report.left_out)} files, see {out / 'quarantine.parquet'}")
    return 1 if report.odd or report.left_out else 0


def own_entry(name: str, a: str | None, b: str | None, task: str, subtask: str, licence: str) -> CatalogueEntry:
    """An entry for a data set that is not in the catalogue.

    Args:
        name: of the user's own.
        a: template of the first source.
        b: of the second.
        task: of the pairs.
        subtask: where the task has several.
        licence: as the user states it.

    Raises:
        UserError: a rule is missing, or the task does not know the sub-task.
    """
    if not (a and b):
        raise UserError("a rule of your own needs both --a and --b: 'sigforge data guess PATH' proposes them")
    if task not in MODALITIES or (subtask or task) not in MODALITIES[task]:
        raise UserError(f"--task {task} --subtask {subtask!r}: choose from {', '.join(MODALITIES)} and their sub-tasks")
    rule = PairRule(a=a, b=b, subtask=subtask)
    facts = {"home": "", "citation": "", "sources": ("the user",), "licence": licence, "layouts": ((rule,),)}
    return CatalogueEntry(name=name.lower(), title=name, task=task, **facts)


def show_guesses(path: Path) -> int:
    """Print proposals with their pairs; exit code 1 if there is none.

    Raises:
        UserError: no such folder, or no image in it.
    """
    guesses = guess_rules(images_below(path))
    for guess in guesses:
        print(f"{_templates(guess.rule)}: {guess.scenes} {'sequences' if guess.rule.scene else 'pairs'}")
        for example in guess.examples:
            more = f" and {len(example.files) - SHOWN} more" if len(example.files) > SHOWN else ""
            print(f"  {' + '.join(example.files[:SHOWN])}{more}")
    pairs = next((guess.rule for guess in guesses if not guess.rule.scene), None)
    if pairs:
        print(f"to take the first: sigforge data import NAME --root {path} --a '{pairs.a}' --b '{pairs.b}'")
    if not guesses:
        print(f"{path}: no two files have names that differ in one word alone")
    return 0 if guesses else 1


def _templates(rule: PairRule) -> str:
    return rule.scene or rule.photo or f"{rule.a} + {rule.b}"
