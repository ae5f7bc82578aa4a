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


@data_app.command("list", epilog="Example: sigforge data list")
def data_list() -> int:
    """List the data sets of the catalogue: task, size, licence, and whether a program can fetch it."""
    from sigforge.cli.catalogue import show_catalogue

    return show_catalogue()


@data_app.command("show", epilog="Example: sigforge data show msrs")
def data_show(name: Annotated[str, typer.Argument(help="A name from 'sigforge data list'.")]) -> int:
    """Show all that is known of one data set, with where it was found."""
    from sigforge.cli.catalogue import show_entry

    return show_entry(name)


@data_app.command("import", epilog="Example: sigforge data import msrs --root /data/MSRS")
def data_import(
    name: Annotated[str, typer.Argument(help="A name from 'sigforge data list', or one of your own with --a and --b.")],
    root: Annotated[Path, typer.Option(help="Where it was unpacked.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the manifest; data/import/NAME by default.")] = None,
    a: Annotated[str | None, typer.Option("--a", help="Rule of the first source: 'ir/{id}.*'.")] = None,
    b: Annotated[str | None, typer.Option("--b", help="Rule of the second: 'vis/{id}.*'.")] = None,
    task: Annotated[str, typer.Option(help="Of a data set of your own: vif, mif, mfif, mef.")] = "vif",
    subtask: Annotated[str, typer.Option(help="Likewise, of mif: mri-ct, mri-pet, mri-spect.")] = "",
    licence: Annotated[str, typer.Option(help="Likewise.")] = "unknown",
    seed: Annotated[int, typer.Option(min=0, help="Of the split, where none is published.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = 1,
) -> int:
    """Make the manifest of a data set as it was unpacked: pair, check, split, count, and say what is odd."""
    from sigforge.cli.catalogue import import_named, own_entry
    from sigforge.dataset.catalogue.entry import entry_of

    entry = own_entry(name, a, b, task, subtask, licence) if a or b else entry_of(name)
    return import_named(entry, root, out or Path("data/import") / name, seed=seed, workers=workers)


@data_app.command("guess", epilog="Example: sigforge data guess /data/unknown")
def data_guess(path: Annotated[Path, typer.Argument(help="A folder of images of unknown layout.")]) -> int:
    """Propose a rule for a layout: how many pairs it gives, and three of them."""
    from sigforge.cli.catalogue import show_guesses

    return show_guesses(path)


@data_app.command("get", epilog="Example: sigforge data get roadscene --out /data/RoadScene")
def data_get(
    name: Annotated[str, typer.Argument(help="A name from 'sigforge data list'.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; NAME here by default.")] = None,
) -> int:
    """Fetch a data set from its repository or address, where its authors give it out that way."""
    from sigforge.dataset.catalogue.entry import entry_of
    from sigforge.dataset.catalogue.getting import get_dataset

    print(get_dataset(entry_of(name), out or Path(name)))
    return 0


@data_app.command("check", epilog="Example: sigforge data check data/ingest/vif --photos data/ingest/photos")
def data_check(
    where: Annotated[Path, typer.Argument(help="pairs.parquet, or the folder that holds it.")],
    photos: Annotated[
        Path | None, typer.Option(help="photos.parquet or its folder; no test image may be in it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of table and page; beside the manifest by default.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> int:
    """Look for what spoils results: duplicates, leaks, shifts, swapped or re-compressed images, borders."""
    from sigforge.cli.hygiene import show_hygiene

    return show_hygiene(where, photos, out, workers=workers)
