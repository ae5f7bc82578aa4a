"""Building a release: everything is checked first, put together under another name, and becomes visible whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file, write_atomic
from sigforge.core.images import encode_png, to_uint8
from sigforge.dataset.tables import Photo, write_table
from sigforge.dataset.tasks import modalities
from sigforge.release.attribution import CREDITS, PhotoCredit, check_credits, credits_of, facts_of
from sigforge.release.card import TASK_TEXTS, CardFacts, card
from sigforge.release.checksums import read_sums, sums_text
from sigforge.release.contents import ReleaseContents, ReleaseGrowth, growth
from sigforge.release.croissant import CroissantFacts, croissant_text
from sigforge.release.layout import ATTRIBUTION, CARD, CROISSANT, LICENCE, PICTURE, PROVENANCE, SUMS, ReleaseTitle
from sigforge.release.preview import preview
from sigforge.release.terms import licence_text
from sigforge.release.verify import verify_release
from sigforge.shards.pairs import ShardPairs, extension_of, opened
from sigforge.shards.verify import verify

if TYPE_CHECKING:
    from sigforge.release.realism import RealismTable


@dataclass(frozen=True)
class ReleaseRequest:
    """What is to be published, and how it is told.

    Attributes:
        title: name and version.
        shards: the folder they lie in.
        out: where the release's folder goes.
        photos: the manifest by photo_id; without it the shards' own facts say whom to credit.
        author: of photographs that name none.
        exclude: licences that are not wanted, see :func:`sigforge.release.terms.refusal`.
        append: an earlier release that this one must contain.
        provenance: what ``provenance.json`` says beside the shards' own keys.
        creator, homepage, citation, date: see :class:`sigforge.release.croissant.CroissantFacts`.
        realism: measured on the shards for the card.
        photograph: of a row of the shards, for the picture.
    """

    title: ReleaseTitle
    shards: Path
    out: Path
    photos: Mapping[str, Photo] | None = None
    author: str = ""
    exclude: Sequence[str] = ()
    append: Path | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)
    creator: str = ""
    homepage: str = ""
    citation: str = ""
    date: str = ""
    realism: "Callable[[ShardPairs], RealismTable] | None" = None
    photograph: Callable[[dict], np.ndarray] | None = None

    @property
    def folder(self) -> Path:
        """Where it goes."""
        return self.out / self.title.folder


def build_release(request: ReleaseRequest) -> Path:
    """Make a release from a folder of finished shards; returns its folder.

    A release that is there already with the very same bytes is left as it is; a draft is replaced.

    Raises:
        UserError: the shards are not as promised, a photograph may not be given away or has nobody to credit, an
            appended release lacks a pair, or the version exists with other bytes. Nothing half-built stays.
    """
    if problems := verify(request.shards, decode=False):
        more = f" (and {len(problems) - 1} more: 'sigforge verify {request.shards}')" if len(problems) > 1 else ""
        raise UserError(f"{problems[0]}{more}: nothing was published")
    contents = ReleaseContents.of(request.shards)
    credits = credits_of(contents.shards, request.photos, author=request.author)
    check_credits(credits, request.exclude)
    grown = _growth(request, contents)
    with _put_in_place(request) as folder:
        sums = _link(contents, folder)
        sums |= _describe(request, contents, credits, grown, sums, folder)
        write_atomic(folder / SUMS, sums_text(sums))
    return request.folder


@contextmanager
def _put_in_place(request: ReleaseRequest) -> Iterator[Path]:
    """A folder under another name that becomes the release when the block ends well, and vanishes when it does not."""
    folder = request.out / f".{request.title.folder}.tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        _replace(folder, request)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(new: Path, request: ReleaseRequest) -> None:
    target, title = request.folder, request.title
    if target.exists():
        if _same(new, target):
            return
        if not title.draft:
            differ = ", ".join(_differing(new, target)[:3]) or "its files are altered"
            raise UserError(f"{target}: version {title.version} exists with other bytes ({differ}): raise the version")
        shutil.rmtree(target)
    os.replace(new, target)


def _same(new: Path, old: Path) -> bool:
    return not _differing(new, old) and not verify_release(old).problems


def _differing(new: Path, old: Path) -> list[str]:
    try:
        was = read_sums((old / SUMS).read_bytes(), old / SUMS)
    except (OSError, UserError):
        return [SUMS]
    now = read_sums((new / SUMS).read_bytes(), new / SUMS)
    return sorted({name for name, _ in was.items() ^ now.items()})


def _growth(request: ReleaseRequest, contents: ReleaseContents) -> ReleaseGrowth | None:
    if request.append is None:
        return None
    if problems := verify_release(request.append).problems:
        raise UserError(f"{problems[0]}: append to a release that is whole")
    earlier = json.loads((request.append / PROVENANCE).read_bytes())
    if earlier["name"] != request.title.name:
        raise UserError(f"{request.append}: is a release of {earlier['name']!r}, not of {request.title.name!r}")
    return growth(ReleaseContents.of(request.append), contents, str(earlier["version"]))


def _link(contents: ReleaseContents, folder: Path) -> dict[str, str]:
    """Hard links to tars and tables, and their markers without times; sha256 by name."""
    sums = {}
    for held in contents.shards:
        hashes = (held.report.sha256, held.report.parquet_sha256)
        for path, promised in zip((held.path.tar, held.path.table), hashes, strict=True):
            _link_file(Path(str(path)), folder / path.name, promised)
            sums[path.name] = promised
        write_atomic(folder / held.path.done.name, held.marker)
        sums[held.path.done.name] = _sha256(held.marker)
    return sums


def _link_file(source: Path, target: Path, sha256: str) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
        if sha256_file(target) != sha256:
            raise UserError(f"{source}: changed while it was copied: run again") from None


def _describe(
    request: ReleaseRequest,
    contents: ReleaseContents,
    credits: Sequence[PhotoCredit],
    grown: ReleaseGrowth | None,
    sums: Mapping[str, str],
    folder: Path,
) -> dict[str, str]:
    """Write what a release has beside its shards; sha256 by name."""
    pairs = ShardPairs(folder)
    about = _about(request, contents, credits)
    write_table(credits, folder / ATTRIBUTION, CREDITS)
    columns, picture = preview(pairs, contents, request.photograph)
    (folder / PICTURE).write_bytes(encode_png(to_uint8(picture)))
    write_atomic(folder / LICENCE, licence_text(about.title.folder, _by_terms(credits)))
    described = dict(sums) | {ATTRIBUTION: sha256_file(folder / ATTRIBUTION)}
    sizes = {name: (folder / name).stat().st_size for name in described}
    write_atomic(folder / CROISSANT, croissant_text(about, described, sizes))
    realism = request.realism(pairs) if request.realism else None
    side, models = pairs[0][0].shape[0], models_of(contents)
    told = CardFacts(task_of(contents), side, about, realism, grown, columns, ", ".join(models))
    write_atomic(folder / CARD, card(told, contents, credits))
    write_atomic(folder / PROVENANCE, _provenance(request, contents, grown, models))
    return {name: sha256_file(folder / name) for name in (ATTRIBUTION, PICTURE, LICENCE, CROISSANT, CARD, PROVENANCE)}


def task_of(contents: ReleaseContents) -> str:
    """The task of shards, which begins their names."""
    return contents.shards[0].path.tar.stem.split("-")[0]


def models_of(contents: ReleaseContents) -> list[str]:
    """Fingerprints of the models that made the pairs: all pairs of a shard were made by one."""
    first = (next((facts for _, facts in facts_of([shard])), {}) for shard in contents.shards)
    return sorted({str(facts["model"]) for facts in first if facts.get("model")})


def extension(contents: ReleaseContents) -> str:
    """``webp`` or ``png``: the type of the images."""
    shard = next(shard for shard in contents.shards if shard.report.samples)
    with opened(shard.path.tar) as file:
        return extension_of(file, shard.path.tar, next(row for row in shard.rows if row["status"] == "ok"))


def _about(request: ReleaseRequest, contents: ReleaseContents, credits: Sequence[PhotoCredit]) -> CroissantFacts:
    task = task_of(contents)
    a, b = modalities(task, next(iter(contents.subtasks)))
    what = f"{contents.pairs} synthetic pairs for {TASK_TEXTS[task][0]}, registered to the pixel"
    return CroissantFacts(
        title=request.title,
        description=f"{what}, made from {len(credits)} photographs by learned signal modulation (SigFusion's PLGN).",
        licences=sorted({credit.licence_url or credit.licence for credit in credits}),
        keywords=("image-fusion", task, a, b, "synthetic", "webdataset"),
        modalities=(a, b),
        extension=extension(contents),
        creator=request.creator,
        homepage=request.homepage,
        citation=request.citation,
        date=request.date,
    )


def _by_terms(credits: Sequence[PhotoCredit]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for credit in credits:
        counts[credit.licence, credit.licence_url] = counts.get((credit.licence, credit.licence_url), 0) + 1
    return dict(sorted(counts.items()))


def _provenance(
    request: ReleaseRequest, contents: ReleaseContents, grown: ReleaseGrowth | None, models: Sequence[str]
) -> str:
    added = {"since": grown.since, "shards": list(grown.shards), "pairs": grown.pairs} if grown else None
    tree = {
        "name": request.title.name,
        "version": request.title.version,
        "task": task_of(contents),
        "pairs": contents.pairs,
        "shards": {shard.path.tar.name: shard.report.key for shard in contents.shards},
        "models": list(models),
        "new": added,
        **request.provenance,
    }
    return json.dumps(tree, indent=1, sort_keys=True) + "\n"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
