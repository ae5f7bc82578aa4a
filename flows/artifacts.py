"""Markdown for Prefect's page, read from the files a finished target left behind."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from sigforge.core.escape import escape_code, escape_markdown

DATA = Path("data")


def publish(target: str) -> None:
    """Show what a target made beside its run; targets without a table, or without files yet, show nothing."""
    stage, _, part = target.partition("@")
    text = TABLES[stage](part) if stage in TABLES else ""
    if text:
        create_markdown_artifact(text, key=f"{stage}-{part}" if part else stage, description=target)


def scores(task: str) -> str:
    """Means of every method and metric, from ``data/evaluate/<task>/summary.json``."""
    path = DATA / "evaluate" / task / "summary.json"
    if not path.exists():
        return ""
    summary = json.loads(path.read_text())
    methods, both = summary["methods"], summary.get("both") or {}
    metrics = sorted({metric for values in methods.values() for metric in values})
    columns = [*(["both"] if both else []), *metrics]
    rows = [
        [method, *("undefined" if (value := values.get(name)) is None else f"{value:.4f}" for name in columns)]
        for method, values in ((method, {"both": both.get(method)} | values) for method, values in methods.items())
    ]
    table = markdown_table(["method", *columns], rows)
    notes = "".join(f"\n- {note}" for note in summary.get("notes", ()))
    return f"## {task}: means over {summary['pairs']} test pairs\n\n{table}" + (f"\n{notes}" if notes else "")


def shards(task: str) -> str:
    """Counts of every finished shard, from the done-markers in ``data/synth/<task>``."""
    done = [json.loads(path.read_text()) for path in sorted((DATA / "synth" / task).glob("*-[0-9]*.json"))]
    if not done:
        return ""
    rows = [[one["shard"], one["samples"], one["failures"], one["bytes"], f"{one['seconds']:.1f}"] for one in done]
    samples, size = sum(one["samples"] for one in done), sum(one["bytes"] for one in done)
    header = ["shard", "samples", "failures", "bytes", "seconds"]
    return f"## {task}: {samples} pairs in {len(done)} shards, {size / 1e6:.1f} MB\n\n{markdown_table(header, rows)}"


def release(task: str) -> str:
    """The card of the task's newest release, without the lines that are for the Hub."""
    made = sorted((DATA / "publish").glob("*/provenance.json"), key=lambda path: path.stat().st_mtime)
    newest = [path.parent for path in made if json.loads(path.read_text())["task"] == task][-1:]
    if not newest:
        return ""
    page = (newest[0] / "README.md").read_text().split("---\n", 2)[-1]
    return f"Release: `{newest[0].resolve()}`\n\n{page}"


def overview(_part: str) -> str:
    """The scores of all tasks, and where the report lies."""
    tables = [scores(path.parent.name) for path in sorted((DATA / "evaluate").glob("*/summary.json"))]
    page = DATA / "report" / "index.html"
    return "\n\n".join([f"Report: {escape_code(str(page.resolve()))}", *tables]) if page.exists() else ""


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    Example:
        >>> print(markdown_table(["a", "b"], [[1, 2]]))
        | a | b |
        | --- | --- |
        | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    return escape_markdown(value) if isinstance(value, str) else str(value)


TABLES: dict[str, Callable[[str], str]] = {"evaluate": scores, "synth": shards, "publish": release, "report": overview}
