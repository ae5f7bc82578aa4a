"""``sigforge publish``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigforge.core.errors import UserError
from sigforge.dataset.tables import read_photos
from sigforge.release.build import ReleaseRequest, build_release
from sigforge.release.layout import ReleaseTitle
from sigforge.release.targets.sending import pack, plan_text, target_of
from sigforge.release.verify import is_release, verify_release


def publish_and_send(folder: Path, to: Sequence[str], *, dry_run: bool, **build: Any) -> int:
    """Build a release, if shards are given, and send it to every target.

    Args:
        folder: of shards, or a release.
        to: addresses, see :func:`sigforge.release.targets.sending.target_of`.
        dry_run: only say what would be sent.
        build: options of :func:`publish_folder`.

    Raises:
        UserError: as the two steps do; a release without a target.
    """
    if dry_run and not to:
        raise UserError("--dry-run says what would be sent: give --to as well")
    targets = [target_of(address) for address in to]
    if folder.is_dir() and is_release(folder):
        if not to:
            raise UserError(f"{folder}: is a release already: give --to, or the folder of shards")
        release = folder
    else:
        release = publish_folder(folder, **build)
    if not targets:
        return 0
    parcel = pack(release)
    for target in targets:
        print(plan_text(parcel, target) if dry_run else target.send(parcel, lambda name: print(f"sent {name}")))
    return 0


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
) -> Path:
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
        UserError: no such folder, no name or version; as :func:`sigforge.release.build.build_release`.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: correct the path")
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
    release = build_release(request)
    print(verify_release(release).checked)
    return release
