"""A release into a bucket: SHA256SUMS goes last, so a reader never sees a part for the whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from sigforge.core.storage import RemotePath, check_reachable, size_of, stored_sha256, upload
from sigforge.release.layout import SUMS
from sigforge.release.targets.sending import ReleaseParcel, Say, refuse_other


@dataclass(frozen=True)
class BucketTarget:
    """``s3://bucket/prefix/NAME-VERSION``."""

    root: RemotePath

    def steps(self, parcel: ReleaseParcel) -> Sequence[str]:
        """See :class:`sigforge.release.targets.sending.ReleaseTarget`."""
        return [f"put to {self.root / parcel.title.folder}/ , with each sha256 as metadata:"]

    def send(self, parcel: ReleaseParcel, say: Say) -> str:
        """Upload what is not there yet; every object carries its sha256.

        Raises:
            UserError: the version is there with other files, or the server cannot be reached or refuses.
        """
        target = self.root / parcel.title.folder
        check_reachable(target)
        sums = (target / SUMS).read_bytes() if size_of(target / SUMS) is not None else None
        if refuse_other(sums, parcel, target):
            return f"{target}: is there already"
        for file in parcel.files:
            if size_of(target / file.name) != file.size or stored_sha256(target / file.name) != file.sha256:
                upload(file.path, target / file.name, sha256=file.sha256)
            say(file.name)
        return f"{target}: {len(parcel.files)} files"
