"""Which form of SigFormer serves the modulators best: every form the paper leaves open, trained and validated in turn.

``python -m flows.choices --task vif`` writes ``data/ablate/<task>/choices.md``. A row is a project folder as in
:mod:`flows.ablate`, brought up to ``plgn@<task>``; what the table says was measured by the stages ``pretrain`` and
``plgn``.
"""

import argparse
import contextlib
import json
import sys
from functools import partial
from pathlib import Path

from flows import STATE
from flows.ablate import DATA, DEFAULT, AblationRow, AblationStart, begin, call, prepare, refuse_unknown
from flows.target import Say, TargetFailed, reproduce
from sigforge.core.errors import UserError
from sigforge.dataset.tasks import TASKS

ROWS = (
    DEFAULT,
    AblationRow("skip: pooled", "skip-pooled", {"sigformer.skip": "pooled"}),
    AblationRow("skip: none", "skip-none", {"sigformer.skip": "none"}),
    AblationRow("pools: 1, 2", "pools", {"sigformer.pools": [1, 2]}),
    AblationRow("boundaries: midpoint", "midpoint", {"sigformer.boundaries": "midpoint"}),
    AblationRow("boundaries: fixed", "fixed", {"sigformer.boundaries": "fixed"}),
    AblationRow("scan: channels", "scan-channels", {"sigformer.scan": "channels"}),
    AblationRow("scan: rows", "scan-rows", {"sigformer.scan": "rows"}),
    AblationRow("carrier: false", "no-carrier", {"sigformer.carrier": False}),
    AblationRow("embedding: patch", "patch", {"sigformer.embedding": "patch"}),
    AblationRow("share: 1", "share-1", {"sigformer.share": 1}),
)


def bring_up(task: str, row: AblationRow, start: AblationStart, say: Say) -> Path:
    """The folder of one row, up to date.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        row: what it changes in params.yaml.
        start: the project as it is now.
        say: takes one line of log.

    Raises:
        TargetFailed: a stage failed.
    """
    folder, target = STATE.resolve() / "choices" / task / row.slug, f"plgn@{task}"
    say(f"{row.name}: {folder}")
    prepare(folder, row, start, target)
    with contextlib.chdir(folder):
        reproduce(target, say)
    return folder


def main(arguments: list[str] | None = None) -> int:
    """Measure the rows; exit code 2 on a user's mistake, 1 if a stage failed."""
    parser = argparse.ArgumentParser(prog="python -m flows.choices", description=__doc__.split("\n")[0])
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--rows", nargs="+", metavar="ROW", help=f"of {', '.join(row.slug for row in ROWS)}")
    options = parser.parse_args(arguments)
    folder, rows = DATA / options.task, []
    try:
        refuse_unknown(options.rows, ROWS)
        start = begin()
        folder.mkdir(parents=True, exist_ok=True)
        for row in ROWS:
            if options.rows is None or row.slug in options.rows:
                place = bring_up(options.task, row, start, partial(print, flush=True))
                rows.append({"name": row.name, "folder": str(place)})
                write_table(folder, options.task, rows)
    except (UserError, TargetFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    print((folder / "choices.md").read_text() + str(folder / "choices.md"))
    return 0


def write_table(folder: Path, task: str, rows: list[dict[str, str]]) -> None:
    """Write ``choices.json`` and, made from it by the report's code in a process of its own, ``choices.md``.

    Args:
        folder: where both go.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        rows: texts by column.
    """
    (folder / "choices.json").write_text(json.dumps({"task": task, "rows": rows}, indent=1))
    text = call(sys.executable, "-m", "sigforge.evaluation.choices", str(folder / "choices.json"))
    (folder / "choices.md").write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
