"""``sigforge score``."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sigforge.cli.console import named, say, show
from sigforge.cli.inputs import report_left_out, report_notes
from sigforge.cli.matching import ScoringPlan, plan_units
from sigforge.core.errors import UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.parallel import run_units
from sigforge.core.progress import progress
from sigforge.evaluation.distributions import check_format, write_plot
from sigforge.evaluation.file_scores import LUMA, SOURCES, ScoringUnit, score_units
from sigforge.evaluation.leaderboard import TEST_LABEL, BoardCell, Leaderboard, build_leaderboard
from sigforge.evaluation.references import REFERENCES, is_reference
from sigforge.evaluation.score_matrix import ScoreMatrix
from sigforge.evaluation.table_formats import PrintedHead, format_of, write_printed
from sigforge.metrics import Metric, select_metrics

WIDEST = 6
"""Metrics side by side on a terminal."""

CHUNK = 16
"""Most pairs that a worker process is given at a time."""


@dataclass(frozen=True)
class ScoreOutputs:
    """Files to write beside what is printed."""

    csv: Path | None = None
    parquet: Path | None = None
    leaderboards: Sequence[Path] = ()
    plot: Path | None = None

    def check(self) -> None:
        """Raise a UserError if one has no known format, before hours of work."""
        for path in self.leaderboards:
            format_of(path)
        if self.plot:
            check_format(self.plot)

    def write_scores(self, scores: ScoreMatrix, notes: Sequence[str]) -> None:
        """Write the scores of every image."""
        if self.csv:
            scores.write_csv(self.csv)
        if self.parquet:
            scores.write_parquet(self.parquet, {"notes": "\n".join(notes)})

    def write_summary(self, scores: ScoreMatrix, board: Leaderboard) -> None:
        """Write the leaderboard and the plot, over the pairs that every method has."""
        for path in self.leaderboards:
            write_printed(path, board.printed())
        if self.plot:
            write_plot(self.plot, scores.shared, scores.methods, scores.metrics)


def score_inputs(
    a: Path,
    b: Path,
    fused: Sequence[Path],
    *,
    metrics: str = "paper,both",
    copies: bool = True,
    reference: Path | None = None,
    outputs: ScoreOutputs | None = None,
    workers: int = 1,
    strict: bool = False,
) -> int:
    """Score fused files or folders against their sources; print the means, and write what ``outputs`` names.

    Args:
        a: first source, a file or a folder.
        b: second source; files of folders are matched by their stems.
        fused: a file or folder for each method that is compared.
        metrics: ``paper``, ``both``, ``all``, or names with commas between.
        copies: score copies of the sources and a collage of both, too.
        reference: true fused file or folder, for metrics that need one.
        outputs: files to write; none if left out.
        workers: processes.
        strict: count a pair that a method has not fused as an error.

    Returns:
        1 if a file could not be used or, with ``strict``, a method lacks the image of a pair; else 0.

    Raises:
        UserError: a wrong path, metric or format, or nothing to score.
    """
    outputs = outputs or ScoreOutputs()
    outputs.check()
    chosen = select_metrics(metrics, reference=reference is not None)
    plan = plan_units(a, b, fused, reference, copies=copies)
    report_notes(a, b, *fused)
    report_left_out([*plan.bad, *plan.missing])
    scores, seen, bad = score_plan(plan, chosen, workers)
    warn_of_lossy_files(seen, plan.methods)
    warn_of_raw_files(seen, plan.methods)
    notes = [*describe_inputs(scores, seen), *(f"{m.symbol} ({m.name}): {m.convention}" for m in chosen)]
    outputs.write_scores(scores, notes)
    if not len(scores.shared):
        raise UserError("no pair could be scored for every method: mend the images named above")
    board = build_leaderboard(scores.shared, scores.methods, scores.metrics, notes=notes)
    for table in tables(board):
        show(table)
    say("\n".join((board.caption, *board.notes)))
    outputs.write_summary(scores, board)
    return 1 if plan.bad or bad or (strict and plan.missing) else 0


def score_plan(plan: ScoringPlan, metrics: Sequence[Metric], workers: int) -> tuple[ScoreMatrix, Counter, bool]:
    """Score every unit, over processes, with progress on stderr.

    Args:
        plan: which images belong together.
        metrics: by which.
        workers: processes.

    Returns:
        the scores, counts of the kinds of file read, and whether a file could not be used.
    """
    scores, bad = ScoreMatrix.empty(plan.pairs, plan.methods, metrics), False
    seen: Counter[tuple[str, str]] = Counter()
    with progress("score", len(plan.units)) as bar:
        for results in run_units(partial(score_units, metrics=metrics), chunks(plan.units, workers), workers=workers):
            for result in results:
                for method, values in result.values.items():
                    scores.put(result.pair, plan.methods.index(method), values)
                report_left_out(result.left_out)
                bad = bad or bool(result.left_out)
                seen += result.seen
                bar.advance()
    return scores, seen, bad


def chunks(units: Sequence[ScoringUnit], workers: int) -> list[Sequence[ScoringUnit]]:
    """Pairs in the portions that workers get: single ones in this process, a few for others."""
    size = 1 if workers <= 1 else max(1, min(CHUNK, len(units) // (4 * workers)))
    return [units[start : start + size] for start in range(0, len(units), size)]


def warn_of_lossy_files(seen: Counter, methods: Sequence[str]) -> None:
    """Say on stderr whose files lost something when they were stored."""
    for whose in (*methods, SOURCES):
        if count := seen["lossy", whose]:
            what = "source or reference images" if whose == SOURCES else f"fused images of {whose}"
            advice = "give the originals" if whose == SOURCES else "store results as PNG"
            files = f"{count} of {seen['file', whose]} {what}"
            line = f"warning: {files} are JPEG or lossy WebP, which changes scores: {advice}"
            print(escape_terminal(line), file=sys.stderr)


def warn_of_raw_files(seen: Counter, methods: Sequence[str]) -> None:
    """Say on stderr whose files of 16 bits hold little: their scores are not those of the scene."""
    for whose in (*methods, SOURCES):
        if count := seen["raw", whose]:
            files = f"{count} of {seen['file', whose]} {'source images' if whose == SOURCES else f'images of {whose}'}"
            advice = "stretch the levels of all images alike to the whole range"
            line = f"warning: {files} use a quarter of their 16 bits or less, like raw counts of a sensor: {advice}"
            print(escape_terminal(line), file=sys.stderr)


def describe_inputs(scores: ScoreMatrix, seen: Counter) -> Iterator[str]:
    """What a reader has to know of the pixels and the pairs behind the numbers."""
    files, colour, deep = (sum(n for (kind, _), n in seen.items() if kind == k) for k in ("file", "colour", "deep"))
    yield f"scored on the luma of colour images, {LUMA} ({colour} of {files} files), rounded to 8 bits"
    if deep:
        yield f"files of 16 bits ({deep} of {files}) are divided by 65535 first"
    for method, count in zip(scores.methods, scores.scored.sum(axis=0), strict=True):
        if count < len(scores.pairs) and method not in REFERENCES:
            yield f"{method}: {count} of {len(scores.pairs)} pairs scored; means are over pairs that every method has"


def tables(board: Leaderboard) -> Iterator[Table]:
    """The leaderboard for a terminal: best bold, second underlined, the interval below its mean."""
    for start in range(0, len(board.columns), WIDEST):
        columns = board.columns[start : start + WIDEST]
        table = Table(title=f"means over {board.pairs} pair{'s' if board.pairs != 1 else ''}")
        table.add_column("method")
        for head in (*board.lead_heads, *(PrintedHead.of_metric(column.metric, column.symbol) for column in columns)):
            table.add_column(head.text, justify="right")
        for m, method in enumerate(board.methods):
            name = Text("", "italic" if is_reference(method) else "").append(named(method))
            table.add_row(name, *board.lead(m), *(_printed(column.cells[m]) for column in columns))
        table.add_section()
        table.add_row(TEST_LABEL, *("" for _ in board.lead_heads), *(column.p_text for column in columns))
        yield table


def _printed(cell: BoardCell) -> Text:
    text = Text(cell.text, {1: "bold", 2: "underline"}.get(cell.place, ""))
    return text.append(f"\n{cell.interval}", "not bold not underline dim") if cell.interval else text
