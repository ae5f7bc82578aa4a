"""MIRFLICKR-25000: photographs from Flickr, with the licence and the author of each.

Huiskes and Lew, "The MIR Flickr Retrieval Evaluation", ACM MIR 2008. Unpacked, ``mirflickr25k.zip`` holds ``im1.jpg``
to ``im25000.jpg`` and, beside tags and EXIF, ``meta/license/``; its site (press.liacs.nl/mirflickr) says that licence
metafiles state creator, title and the exact licence, one of Creative Commons'. How these are worded was not found in
public, so a file is taken by the number that ends its name and read for what it must hold: a licence (see
:mod:`sigforge.dataset.sources.licences`) and an author, after a word such as ``owner`` or in an address at Flickr. A
file that lacks either, or states several licences, quarantines its photograph: what cannot be credited must not be
used.

Reasons: ``no_licence`` and ``no_author``.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from sigforge.core.errors import UserError
from sigforge.dataset.contents import STAGE
from sigforge.dataset.sources.folders import photo_folder
from sigforge.dataset.sources.licences import read_terms
from sigforge.dataset.sources.registry import PhotoCandidate, SourceFinds, SourceOptions, SourceRequest, photo_source
from sigforge.dataset.tables import Quarantined

LICENCES = Path("meta/license")
_LAST_NUMBER = re.compile(r"(\d+)$")
_PERSON = r"(?:real ?name|user ?name|owner(?: ?(?:name|user ?name))?|author|photographer|creator|artist|user)"
_AUTHOR = re.compile(rf"^\W*(?:photo )?{_PERSON}\s*(?::|=|\t|\n)\s*(\S[^\n]*?)\s*$", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"https?://(?:www\.)?flickr\.com/(?:photos|people)/([^/\s<>\"']+)(?:/\d+)?", re.IGNORECASE)


class MirflickrPhotos(SourceOptions):
    """MIRFLICKR as it is unpacked: photographs, and a file with the licence of each."""

    kind: Literal["mirflickr"]
    name: str = Field("mirflickr", pattern=r"^[A-Za-z0-9_-]+$")
    path: str
    limit: int | None = Field(None, ge=1)


@photo_source(MirflickrPhotos)
def find_mirflickr_photos(options: MirflickrPhotos, request: SourceRequest) -> SourceFinds:
    """The photographs whose terms can be told."""
    return SourceFinds(*mirflickr_photos(request.resolve(options.path), source=options.name, limit=options.limit))


def mirflickr_photos(
    folder: str | Path, *, source: str = "mirflickr", limit: int | None = None
) -> tuple[list[PhotoCandidate], list[Quarantined]]:
    """List the photographs, each with its own terms, and those whose terms cannot be told.

    Args:
        folder: where ``im1.jpg`` and ``meta`` lie.
        source: photo ids begin with it.
        limit: keep the first so many photographs, by path.

    Raises:
        UserError: no such folder, no image, or no licence files.
    """
    folder = Path(folder)
    candidates = photo_folder(folder, source=source, licence="unknown", limit=limit)
    files = _licence_files(folder / LICENCES)
    described = [_described(candidate, files) for candidate in candidates]
    good = [found for found in described if isinstance(found, PhotoCandidate)]
    return good, [found for found in described if isinstance(found, Quarantined)]


def _licence_files(folder: Path) -> dict[str, Path]:
    """By the number that ends their names."""
    numbered = {_LAST_NUMBER.search(path.stem): path for path in sorted(folder.rglob("*.txt"))}
    files = {match[1]: path for match, path in numbered.items() if match}
    if not files:
        raise UserError(f"{folder}: no licence files: unpack mirflickr25k.zip with its folder 'meta'")
    return files


def _described(candidate: PhotoCandidate, files: dict[str, Path]) -> PhotoCandidate | Quarantined:
    """The photograph with its terms and author, or why it has none."""
    number = _LAST_NUMBER.search(Path(candidate.path).stem)
    file = files.get(number[1]) if number else None
    if file is None:
        return Quarantined(candidate.path, STAGE, "no_licence", f"has no file in {LICENCES}")
    text = _text(file)
    try:
        terms = read_terms(text)
    except UserError as error:
        return Quarantined(candidate.path, STAGE, "no_licence", f"{file} {error}")
    author = author_of(text)
    if not author:
        return Quarantined(candidate.path, STAGE, "no_author", f"{file} names nobody to credit")
    return replace(candidate, author=author, **vars(terms))


def author_of(text: str) -> str:
    """Whom a licence file names, with the photograph's address if it has one; empty if nobody.

    Example:
        >>> author_of("Owner name: Jane Doe\\nhttp://www.flickr.com/photos/jane/42")
        'Jane Doe (http://www.flickr.com/photos/jane/42)'
    """
    named, address = _AUTHOR.search(text), _ADDRESS.search(text)
    name = named[1] if named else address[1] if address else ""
    return f"{name} ({address[0]})" if address and named else name


def _text(file: Path) -> str:
    """Old files are not all UTF-8."""
    data = file.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
