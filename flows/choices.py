"""Which form of SigFormer serves the modulators best: every form the paper leaves open, trained and validated in turn.

``python -m flows.choices --task vif`` writes ``data/ablate/<task>/choices.md``. A row is a project folder as in
:mod:`flows.ablate`, brought up to ``plgn@<task>``; what it says was measured by the stages ``pretrain`` and ``plgn``.
"""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import get_args

from components.errors import UserError
from components.files import write_atomic
from components.training.history import HISTORY, read_history
from flows import STATE
from flows.ablate import DATA, DEFAULT, Row, Start, begin, prepare, refuse_unknown
from flows.target import Say, TargetFailed, TaskName, reproduce

LEARN = {"pretrain.steps": 400, "pretrain.lr": 1e-3}
"""For forms that are not lossless from the start, so that Eq. 15 has to teach them."""

ROWS = (
    DEFAULT,
    Row("skip: pooled", "skip-pooled", {"sigformer.skip": "pooled", **LEARN}),
    Row("skip: full, Eq. 11 to the letter", "skip-full", {"sigformer.skip": "full", **LEARN}),
    Row("pools: 1, 2", "pools", {"sigformer.pools": [1, 2], **LEARN}),
    Row("boundaries: midpoint", "midpoint", {"sigformer.boundaries": "midpoint"}),
    Row("boundaries: fixed", "fixed", {"sigformer.boundaries": "fixed"}),
    Row("scan: channels", "scan-channels", {"sigformer.scan": "channels"}),
    Row("scan: rows", "scan-rows", {"sigformer.scan": "rows"}),
    Row("carrier: false", "no-carrier", {"sigformer.carrier": False}),
    Row("embedding: patch", "patch", {"sigformer.embedding": "patch"}),
    Row("share: 2", "share-2", {"sigformer.share": 2}),
    Row("share: 4", "share-4", {"sigformer.share": 4}),
)
RECONSTRUCTION = ("psnr", "psnr_without_high", "psnr_without_low")

Measured = dict[str, float]


def measure(task: str, row: Row, start: Start, say: Say) -> Measured:
    """Validation values of one row: of ``pretrain``, and both errors of every channel, after training and unmodulated.

    Pixel errors compare between rows; signal errors are those of other signals where the rows' subbands differ.

    Raises:
        TargetFailed: a stage failed.
    """
    folder, target = STATE.resolve() / "choices" / task / row.slug, f"plgn@{task}"
    say(f"{row.name}: {folder}")
    prepare(folder, row, start, target)
    with contextlib.chdir(folder):
        reproduce(target, say)
    before, after = (_validated(folder / "data" / stage / HISTORY) for stage in ("pretrain", f"plgn/{task}"))
    errors = {name: 1e3 * value for name, value in after.items() if not name.endswith("_samples")}
    return {name: before[name] for name in RECONSTRUCTION} | dict(sorted(errors.items()))


def table(measured: dict[str, Measured]) -> str:
    """Markdown, a line per row in the order given; reconstruction in dB, errors in thousandths.

    Example:
        >>> print(table({"Default": {"psnr": 72.44, "ir_pixel": 7.512}}))
        | | psnr | ir_pixel |
        |---|---:|---:|
        | Default | 72.4 | 7.51 |
    """
    names = list(next(iter(measured.values())))
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for row, values in measured.items():
        cells = (f"{value:.1f}" if name in RECONSTRUCTION else f"{value:.2f}" for name, value in values.items())
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure all rows; exit code 2 on a user's mistake, 1 if a stage failed."""
    parser = argparse.ArgumentParser(prog="python -m flows.choices", description=__doc__.split("\n")[0])
    parser.add_argument("--task", required=True, choices=get_args(TaskName))
    parser.add_argument("--rows", nargs="+", metavar="ROW", help=f"of {', '.join(row.slug for row in ROWS)}")
    options = parser.parse_args(arguments)
    path, measured = DATA / options.task / "choices.md", {}
    try:
        refuse_unknown(options.rows, ROWS)
        start = begin()
        for row in ROWS:
            if options.rows is None or row.slug in options.rows:
                measured[row.name] = measure(options.task, row, start, lambda line: print(line, flush=True))
                write_atomic(path, table(measured) + "\n")
    except (UserError, TargetFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    print(path.read_text() + str(path))
    return 0


def _validated(history: Path) -> Measured:
    return {row.name.removeprefix("val_"): row.value for row in read_history(history) if row.name.startswith("val_")}


if __name__ == "__main__":
    sys.exit(main())
