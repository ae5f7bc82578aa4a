"""``sigforge verify``."""

import sys

from sigforge.cli.console import say
from sigforge.core.errors import UserError
from sigforge.core.storage import place
from sigforge.release.verify import is_release, verify_release
from sigforge.shards.layout import shards_in
from sigforge.shards.verify import verify


def verify_folder(folder: str, *, decode: bool = False) -> int:
    """Print what is wrong with a release or a folder of shards, or in one line what was checked.

    Args:
        folder: local, or ``s3://bucket/prefix``.
        decode: of a release, also decode every image; those of other shards always are.

    Raises:
        UserError: no such folder, or its server cannot be reached.
    """
    where = place(folder)
    if not where.is_dir():
        raise UserError(f"{where}: no such folder: correct the path")
    if is_release(where):
        verdict = verify_release(where, decode=decode)
        say("\n".join(verdict.problems) or verdict.checked)
        return 1 if verdict.problems else 0
    problems = verify(where)
    if problems:
        print(
            "the other shards are good; of each one named, remove the .json file and run 'synth' as before",
            file=sys.stderr,
        )
    say("\n".join(problems) or f"{where}: {len(shards_in(where))} shards, every byte and count as promised")
    return 1 if problems else 0
