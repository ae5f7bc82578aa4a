"""``sigforge publish``."""

from collections.abc import Sequence
from pathlib import Path

from sigforge.core.errors import UserError
from sigforge.dataset.tables import read_photos
from sigforge.release.build import ReleaseRequest, build
from sigforge.release.layout import ReleaseTitle
from sigforge.release.verify import is_release, verify_release


def publish_folder(
    folder: Path,
    *,
    name: str | None,
    version: str | None,
    out: Path,
    append: Path | None = None,
    photos: Path | None = None,
    author: str = "",
    exclude: Sequence[str] = (),
    creator: str = "",
    homepage: str = "",
) -> int:
    """Build a release from a folder of shards, and say where it lies.

    Args:
        folder: of finished shards.
        name: of the release.
        version: likewise.
        out: where the release's folder goes.
        append: an earlier release that must be contained.
        photos: a manifest, which says whom to credit.
        author: of photographs that name none.
        exclude: licences that are not wanted.
        creator: who publishes.
        homepage: an address.

    Raises:
        UserError: no such folder, a release is given, no name or version; as :func:`sigforge.release.build.build`.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: correct the path")
    if is_release(folder):
        raise UserError(f"{folder}: is a release already: give the folder of shards")
    if not (name and version):
        raise UserError(f"{folder}: a release needs --name and --version")
    manifest = {photo.photo_id: photo for photo in read_photos(photos)} if photos else None
    request = ReleaseRequest(
        ReleaseTitle(name, version),
        folder,
        out,
        photos=manifest,
        author=author,
        exclude=tuple(exclude),
        append=append,
        creator=creator,
        homepage=homepage,
    )
    print(verify_release(build(request)).checked)
    return 0
