"""What a run of the factory says: progress while it works, a table at its end."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sigforge.core.progress import clock, progress
from sigforge.shards.layout import ShardReport
from sigforge.synthesis.plan import ShardPlan
from sigforge.synthesis.run import make_shards


def run_plan(label: str, shards: ShardPlan, **options: Any) -> tuple[list[ShardReport], str]:
    """Make the shards of a plan, with progress on stderr.

    Args:
        label: what the progress line begins with.
        shards: the plan.
        **options: those of :func:`sigforge.synthesis.run.make_shards`, without its two callbacks.

    Returns:
        the done-markers in the order of the plan, and a summary table as text.
    """
    made: list[ShardReport] = []
    failures = 0
    started = time.monotonic()
    with progress(label, shards.samples) as bar:

        def found(report: ShardReport) -> None:
            nonlocal failures
            failures += report.failures
            bar.find(report.planned)

        def finished(report: ShardReport) -> None:
            nonlocal failures
            made.append(report)
            failures += report.failures
            bar.advance(report.planned, note=f"{failures} failed")

        reports = make_shards(shards, **options, on_found=found, on_shard=finished)
    return reports, summary(reports, made, time.monotonic() - started)


def summary(reports: Sequence[ShardReport], made: Sequence[ShardReport], seconds: float) -> str:
    """Samples, failures by reason, bytes and rate.

    Args:
        reports: the done-markers of all shards.
        made: those of this run; the others were found finished.
        seconds: that this run took.

    Example:
        >>> shard = ShardReport("vif-train-000000.tar", 8, 2, {"empty": 2}, 1_500_000, "", "", 4.0, {})
        >>> print(summary([shard, shard], [shard], 4.0))
        shards    2 (1 made now)
        samples   16
        failures  4
          empty   4
        bytes     3.0 MB (188 kB a sample)
        rate      2.0 samples/s over 0:04
    """
    samples, failures, size = (
        sum(getattr(report, name) for report in reports) for name in ("samples", "failures", "bytes")
    )
    new = sum(report.samples for report in made)
    reasons = reasons_of(reports)
    rows = [
        ("shards", f"{len(reports)} ({len(made)} made now)"),
        ("samples", f"{samples}"),
        ("failures", f"{failures}"),
        *((f"  {reason}", f"{count}") for reason, count in reasons.items()),
        ("bytes", f"{size / 1e6:,.1f} MB" + (f" ({size / 1e3 / samples:.0f} kB a sample)" if samples else "")),
        ("rate", f"{new / seconds:.1f} samples/s over {clock(seconds)}" if new else "no new samples"),
    ]
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows)


def reasons_of(reports: Sequence[ShardReport]) -> dict[str, int]:
    """Failures of all shards by reason, in alphabetical order."""
    return dict(sorted(sum((Counter(report.reasons) for report in reports), Counter()).items()))
