"""The table of :mod:`flows.choices`: what stages ``pretrain`` and ``plgn`` measured of every form.

``python -m sigforge.evaluation.choices FILE`` prints the table of the JSON that the flow has left: row to project
folder.
"""

import json
import sys
from pathlib import Path

from sigforge.evaluation.table_formats import markdown_grid
from sigforge.methods.weights import HISTORY
from sigforge.training.history import read_history, validation

RECONSTRUCTION = ("psnr", "psnr_without_high", "psnr_without_low")

Measured = dict[str, float]


def validation_of_project(project: Path, task: str) -> Measured:
    """Validation values of one project: of ``pretrain``, and both errors of every channel, with and without modulators.

    Pixel errors compare between projects; signal errors are those of other signals where the subbands differ.
    """
    histories = (project / "data" / stage / HISTORY for stage in ("pretrain", f"plgn/{task}"))
    before, after = (dict(validation(read_history(path))) for path in histories)
    errors = {name: 1e3 * value for name, value in after.items() if not name.endswith("_samples")}
    return {name: before[name] for name in RECONSTRUCTION} | dict(sorted(errors.items()))


def choices_table(rows: dict[str, Measured]) -> str:
    """Markdown, a line per row in the order given; reconstruction in dB, errors in thousandths.

    Example:
        >>> print(choices_table({"Default": {"psnr": 72.44, "ir_pixel": 7.512}}))
        |  | psnr | ir_pixel |
        | --- | ---: | ---: |
        | Default | 72.4 | 7.51 |
    """
    names = list(next(iter(rows.values())))
    body = []
    for row, values in rows.items():
        cells = (f"{value:.1f}" if name in RECONSTRUCTION else f"{value:.2f}" for name, value in values.items())
        body.append([row, *cells])
    return markdown_grid(["", *names], body)


def main(path: Path) -> None:
    """Print the table of a file."""
    found = json.loads(path.read_text())
    print(
        choices_table({row["name"]: validation_of_project(Path(row["folder"]), found["task"]) for row in found["rows"]})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
