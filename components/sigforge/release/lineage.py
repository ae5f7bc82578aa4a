"""What a folder of data was made from, by the lock file of the pipeline."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from sigforge.core.errors import UserError


def lineage(lock: Path, made: Path) -> dict[str, object]:
    """The entries of ``dvc.lock`` that lead to one output, by stage: commands, and hashes of all they read and wrote.

    Args:
        lock: the file; an empty answer if there is none.
        made: path of the output, as the file has it.

    Raises:
        UserError: it is not a lock file.
    """
    if not lock.exists():
        return {}
    try:
        stages = yaml.safe_load(lock.read_text())["stages"]
        makers = {out["path"]: name for name, entry in stages.items() for out in entry.get("outs", ())}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{lock}: not a lock file of dvc: restore it with 'git checkout {lock}'") from error
    found: dict[str, object] = {}
    pending = [made.as_posix()]
    while pending:
        name = makers.get(pending.pop())
        if name and name not in found:
            found[name] = stages[name]
            pending += _read(stages[name])
    return dict(sorted(found.items()))


def _read(entry: Mapping) -> list[str]:
    return [dep["path"] for dep in entry.get("deps", ())]
