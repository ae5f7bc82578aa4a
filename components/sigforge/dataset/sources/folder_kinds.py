"""Sources ``folders`` (of pairs) and ``folder`` (of photographs): images as they lie on disk."""

from typing import Literal

from pydantic import Field

from sigforge.dataset.contents import Contents, contents
from sigforge.dataset.sources.folders import pair_folders, photo_folder
from sigforge.dataset.sources.registry import SourceFinds, SourceOptions, SourceRequest, pair_source, photo_source


class FolderPairs(SourceOptions):
    """Two folders of registered images that share file stems."""

    kind: Literal["folders"]
    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    subtask: str
    a: str
    b: str
    licence: str = "unknown"
    limit: int | None = Field(None, ge=1)


class FolderPhotos(SourceOptions):
    """A folder of photographs."""

    kind: Literal["folder"]
    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    path: str
    licence: str = "unknown"
    limit: int | None = Field(None, ge=1)


@pair_source(FolderPairs)
def find_folder_pairs(options: FolderPairs, request: SourceRequest) -> SourceFinds:
    """The images of two folders, matched by their stems."""
    a, b = request.resolve(options.a), request.resolve(options.b)
    terms = {"source": options.name, "licence": options.licence}
    found, left = pair_folders(a, b, task=request.task, subtask=options.subtask, limit=options.limit, **terms)
    return SourceFinds(found, left, notes=said(contents(a), contents(b)))


@photo_source(FolderPhotos)
def find_folder_photos(options: FolderPhotos, request: SourceRequest) -> SourceFinds:
    """The photographs of a folder and its sub-folders."""
    path = request.resolve(options.path)
    found = photo_folder(path, source=options.name, licence=options.licence, limit=options.limit)
    listed = contents(path, deep=True)
    return SourceFinds(found, listed.left_out, notes=said(listed))


def said(*folders: Contents) -> list[str]:
    """What else lies in the folders of a source, a line each."""
    return [f"note: {note.path}: {note.detail}" for folder in folders for note in folder.notes]
