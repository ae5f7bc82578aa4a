"""What a release is called, and the files it has beside its shards."""

import re
from dataclasses import dataclass

from sigforge.core.errors import UserError

CARD, LICENCE, CROISSANT = "README.md", "LICENSE", "croissant.json"
ATTRIBUTION, PROVENANCE, PICTURE = "ATTRIBUTION.parquet", "provenance.json", "preview.png"
SUMS = "SHA256SUMS"
"""Written last: a folder without it is no release."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-dev)?")


@dataclass(frozen=True)
class ReleaseTitle:
    """Name and version of a release.

    Attributes:
        name: lower case, digits, ``.``, ``_`` and ``-``: it is part of addresses.
        version: ``1.0.0``; one that ends in ``-dev`` is a draft, which may be replaced and is never sent anywhere.

    Raises:
        UserError: another form.

    Example:
        >>> ReleaseTitle("sigforge-vif", "1.0.0").folder, ReleaseTitle("sigforge-vif", "1.1.0-dev").draft
        ('sigforge-vif-1.0.0', True)
    """

    name: str
    version: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"name {self.name!r}: use lower-case letters, digits and . _ - between them")
        if not _VERSION.fullmatch(self.version):
            raise UserError(f"version {self.version!r}: write three numbers, 1.0.0, or 1.0.0-dev for a draft")

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.name}-{self.version}"

    @property
    def draft(self) -> bool:
        """Whether it may still change."""
        return self.version.endswith("-dev")
