"""Creative Commons licences as people write them, and what they allow.

Flickr's numbers of licences are those that its API lists (``flickr.photos.licenses.getInfo``): 0 to 6 are all there
were when the collections used here were made, and its Creative Commons licences were version 2.0.
"""

import re
from dataclasses import dataclass

from sigforge.core.errors import UserError

FLICKR = ("", "by-nc-sa", "by-nc", "by-nc-nd", "by", "by-sa", "by-nd")
"""By Flickr's number; 0 is all rights reserved."""

FLICKR_VERSION = "2.0"
_RESERVED = "All rights reserved"
_URL = re.compile(r"creativecommons\.org/licenses/(by[a-z-]*)(?:/(\d\.\d))?", re.IGNORECASE)
_SHORT = re.compile(r"\b(?:cc|creative commons)[\s_-]+(by(?:[\s_-](?:nc|nd|sa))*)\b(?:[\s_-]*(\d\.\d))?", re.IGNORECASE)
_NUMBER = re.compile(r"^\W*licen[cs]e(?: ?(?:id|type|code))?\s*[:=]\s*([0-6])\s*$", re.IGNORECASE | re.MULTILINE)
_PARTS = {"nc": "noncommercial", "nd": "noderiv", "sa": "sharealike"}


@dataclass(frozen=True)
class LicenceTerms:
    """A licence: its name, where it stands, and what it allows."""

    licence: str
    licence_url: str
    allows_derivatives: bool
    allows_commercial: bool


def creative_commons(code: str, version: str = FLICKR_VERSION) -> LicenceTerms:
    """The terms of ``by``, ``by-nc-nd``..., of no licence at all if ``code`` is empty.

    Example:
        >>> creative_commons("by-nc")
        LicenceTerms(licence='CC BY-NC 2.0', licence_url='https://creativecommons.org/licenses/by-nc/2.0/', \
allows_derivatives=True, allows_commercial=False)
    """
    if not code:
        return LicenceTerms(_RESERVED, "", allows_derivatives=False, allows_commercial=False)
    parts = code.split("-")
    url = f"https://creativecommons.org/licenses/{code}/{version}/"
    return LicenceTerms(f"CC {code.upper()} {version}", url, "nd" not in parts, "nc" not in parts)


def read_terms(text: str) -> LicenceTerms:
    """The one licence that a text states: by address, by short or long name, or by Flickr's number.

    Raises:
        UserError: it states none, or several that disagree; a guess could give away what must not be given.

    Example:
        >>> read_terms("License: Attribution-NonCommercial-NoDerivs").licence
        'CC BY-NC-ND 2.0'
    """
    found = {(_ordered(match[1]), match[2]) for pattern in (_URL, _SHORT) for match in pattern.finditer(text)}
    found |= {(FLICKR[int(match[1])], None) for match in _NUMBER.finditer(text)}
    letters = re.sub(r"[^a-z]", "", text.lower())
    named = any(part in letters for part in _PARTS.values()) or "attributionlicense" in letters
    if named or ("attribution" in letters and not found):
        found.add((_ordered("-".join(["by", *(code for code, part in _PARTS.items() if part in letters)])), None))
    if "allrightsreserved" in letters:
        found.add(("", None))
    codes, versions = {code for code, _ in found}, {version for _, version in found if version}
    if len(codes) != 1 or len(versions) > 1:
        raise UserError("names no licence" if not codes else f"names several licences: {', '.join(sorted(codes))}")
    return creative_commons(codes.pop(), *versions)


def _ordered(code: str) -> str:
    """The parts of a code as Creative Commons orders them."""
    parts = set(re.split(r"[\s_-]+", code.lower().strip("-")))
    return "-".join(part for part in ("by", "nc", "nd", "sa") if part in parts)
