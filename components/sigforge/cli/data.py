"""``sigforge data``: get data sets and releases."""

from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(help="Data sets and releases: fetch, import, look at.")


@data_app.command("pull", epilog="Example: sigforge data pull hf://datasets/OWNER/NAME")
def data_pull(
    address: Annotated[str, typer.Argument(help="https://..., s3://..., hf://datasets/OWNER/NAME or zenodo:RECORD.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; by default the release's name.")] = None,
) -> int:
    """Fetch a release; every byte is checked, and a rerun goes on where it was cut."""
    from sigforge.release.pull import pull
    from sigforge.release.verify import verify_release

    folder = pull(address, out, on_file=lambda name: print(f"{name}: there"))
    print(verify_release(folder).checked)
    return 0
