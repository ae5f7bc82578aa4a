"""SHA256SUMS, in the form that ``sha256sum -c`` of coreutils reads."""

import re
from collections.abc import Mapping

from sigforge.core.errors import UserError

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\0]+)")


def sums_text(sums: Mapping[str, str]) -> str:
    """The lines of a SHA256SUMS, by file name.

    Example:
        >>> print(sums_text({"b": "1" * 64, "a": "0" * 64}).split()[1::2])
        ['a', 'b']
    """
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def read_sums(data: bytes, name: object) -> dict[str, str]:
    """File names and their sha256; ``name`` is used in errors.

    Raises:
        UserError: another form, or a file named twice.
    """
    try:
        lines = [_LINE.fullmatch(line) for line in data.decode().splitlines()]
    except UnicodeDecodeError:
        lines = [None]
    if not lines or not all(lines):
        raise UserError(f"{name}: not in the form of sha256sum: get this file again")
    found = {line[2]: line[1] for line in lines if line}
    if len(found) < len(lines):
        raise UserError(f"{name}: names a file twice: get this file again")
    return found
