"""``sigforge shards``: look at samples without unpacking."""

import json
from pathlib import Path
from typing import Annotated

import typer

shards_app = typer.Typer(help="Look at samples of shards or of a release, without unpacking.")
Where = Annotated[str, typer.Argument(help="Folder of shards, a release, one tar, or s3://bucket/prefix.")]
Key = Annotated[str, typer.Argument(help="Number of the sample; leading zeros may be left out.")]


@shards_app.command("head", epilog="Example: sigforge shards head data/synth/vif -n 5")
def shards_head(where: Where, count: Annotated[int, typer.Option("-n", min=1, help="So many samples.")] = 10) -> int:
    """List the first samples: key, photograph, sizes in bytes, or why there is none."""
    from rich.table import Table

    from sigforge.cli.console import show
    from sigforge.core.storage import place
    from sigforge.shards.browse import first_rows

    table = Table("key", "photograph", "subtask", "a", "b", "shard or reason")
    for shard, row in first_rows(place(where), count):
        sizes = [str(row[name] or "") for name in ("a_size", "b_size")]
        table.add_row(row["key"], row["photo_id"], row["subtask"], *sizes, row["reason"] or shard.tar.name)
    show(table)
    return 0


@shards_app.command("cat", epilog="Example: sigforge shards cat data/synth/vif 12")
def shards_cat(where: Where, key: Key) -> int:
    """Print what a sample's JSON says, and what its images are."""
    from sigforge.core.storage import place
    from sigforge.shards.browse import read_sample

    sample = read_sample(place(where), key)
    print(json.dumps(sample.facts, indent=1, ensure_ascii=False))
    for name, info in sample.images().items():
        size = len(sample.members[name])
        print(f"{name}: {info.width}x{info.height}, {info.channels} channels, {info.bit_depth} bits, {size} bytes")
    return 0


@shards_app.command("extract", epilog="Example: sigforge shards extract data/synth/vif 12 --out sample/")
def shards_extract(
    where: Where, key: Key, out: Annotated[Path, typer.Option("--out", "-o", help="Folder.")] = Path(".")
) -> int:
    """Write the members of one sample as files."""
    from sigforge.core.storage import place
    from sigforge.shards.browse import extract, read_sample

    for path in extract(read_sample(place(where), key), out):
        print(path)
    return 0
