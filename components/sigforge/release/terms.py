"""What a release may hold, and under which terms it is given: those of its photographs, one by one."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from sigforge.core.errors import UserError
from sigforge.dataset.sources.licences import read_terms

_FREE = re.compile(r"cc0|public domain|no known (copyright )?restrictions|\bpdm\b", re.IGNORECASE)
_OPEN = re.compile(r"^(mit|apache|bsd|odc-by|odbl|pddl)\b", re.IGNORECASE)
_HUB = {"mit": "mit", "apache": "apache-2.0", "odc-by": "odc-by", "odbl": "odbl", "pddl": "pddl"}


def refusal(licence: str, excluded: Sequence[str] = ()) -> str:
    """Why pairs made from a photograph under ``licence`` may not be given away; empty if they may.

    Args:
        licence: as the manifest has it.
        excluded: what the publisher does not want: parts of names, upper or lower case.

    Example:
        >>> refusal("CC BY-NC-ND 2.0"), refusal("CC0-1.0"), refusal("CC BY-NC 4.0", ["nc"])
        ('forbids derivatives', '', "is excluded by 'nc'")
    """
    return _refusal(licence, tuple(excluded))


@cache
def _refusal(licence: str, excluded: tuple[str, ...]) -> str:
    for part in excluded:
        if re.search(rf"(?<![a-z]){re.escape(part.lower())}(?![a-z])", licence.lower()):
            return f"is excluded by '{part}'"
    if _FREE.search(licence) or _OPEN.match(licence):
        return ""
    try:
        terms = read_terms(licence)
    except UserError:
        return "is none that is known to allow giving changed versions away"
    return "" if terms.allows_derivatives else "forbids derivatives"


def needs_author(licence: str) -> bool:
    """Whether a licence asks for its author to be named."""
    return not _FREE.search(licence)


def hub_licence(licences: Sequence[str]) -> str:
    """The Hub's id of the one licence of all photographs; ``other`` if there are several or it has none.

    Example:
        >>> hub_licence(["CC BY-SA 2.0"]), hub_licence(["CC0-1.0", "public domain"])
        ('cc-by-sa-2.0', 'other')
    """
    ids = {_hub_id(licence) for licence in licences}
    return ids.pop() if len(ids) == 1 else "other"


@cache
def _hub_id(licence: str) -> str:
    if re.search(r"\bcc0\b|cc0", licence, re.IGNORECASE):
        return "cc0-1.0"
    if match := _OPEN.match(licence):
        return _HUB.get(match[1].lower(), "other")
    try:
        name = read_terms(licence).licence
    except UserError:
        return "other"
    return name.lower().replace(" ", "-")


def licence_text(title: str, photographs: Mapping[tuple[str, str], int]) -> str:
    """The LICENSE of a release.

    Args:
        title: of the release.
        photographs: how many there are, by (licence, its address).
    """
    lines = [f"- {name}: {count} photographs{f' ({url})' if url else ''}" for (name, url), count in photographs.items()]
    return f"""{title}

Every pair of this release was made from one photograph. It is a changed version of that photograph and is given under
the same licence, with the same conditions. ATTRIBUTION.parquet names the author, the licence and the changes of every
photograph; the file KEY.json of a pair names its photograph.

Licences of the photographs:
{chr(10).join(lines)}

The publisher claims no rights of their own in the pairs. The files beside the shards (card, tables, checksums) are
dedicated to the public domain: CC0-1.0 (https://creativecommons.org/publicdomain/zero/1.0/).

The release comes without warranty of any kind.
"""
