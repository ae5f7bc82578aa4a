"""Stage ``publish``: the shards of one task become a release, a folder that a stranger can use, credit and check."""

import subprocess
import sys
from pathlib import Path

from sigforge import tracking
from sigforge.config.sections import ReleaseParams
from sigforge.core.files import hash_of
from sigforge.dataset.corpus import CORPUS, read_corpus
from sigforge.dataset.tables import read_pairs, read_photos
from sigforge.methods.weights import MODEL, model_fingerprint
from sigforge.release.build import ReleaseRequest, build_release
from sigforge.release.layout import SUMS, ReleaseTitle
from sigforge.release.lineage import lineage
from sigforge.release.realism import RealismTable, realism_rows
from sigforge.release.verify import verify_release
from sigforge.shards.pairs import ShardPairs
from sigforge.stages._base import DATA, StageContext, main
from sigforge.stages._photographs import originals_of, photo_manifest

MADE_BY = ("seed", "sigformer", "pretrain", "plgn", "synth")
LOCK = Path("dvc.lock")


def run(context: StageContext) -> None:
    """Make the release that ``publish`` names from ``data/synth/<task>``."""
    config: ReleaseParams = getattr(context.params.publish, str(context.task))
    folder = build_release(request_of(context, config))
    print(verify_release(folder).checked)
    context.ledger.dataset(config.name, folder / SUMS)


def request_of(context: StageContext, config: ReleaseParams) -> ReleaseRequest:
    """What is published, from the files of the stages before."""
    title = ReleaseTitle(config.name, config.version)
    return ReleaseRequest(
        title=title,
        shards=context.folder("synth"),
        out=DATA / "publish",
        photos={photo.photo_id: photo for photo in read_photos(photo_manifest(context))},
        exclude=config.exclude,
        append=DATA / "publish" / ReleaseTitle(config.name, config.append).folder if config.append else None,
        provenance=_provenance(context, config),
        creator=config.creator,
        homepage=config.homepage,
        citation=config.citation,
        date=_git("show", "-s", "--format=%cs", "HEAD"),
        realism=lambda pairs: _realism(context, pairs),
        photograph=originals_of(context, context.params.synth.size),
    )


def _realism(context: StageContext, pairs: ShardPairs) -> RealismTable:
    params = context.params
    real = read_pairs(context.folder("ingest") / "pairs.parquet")
    photograph = originals_of(context, params.synth.size)
    options = params.report.realism.model_dump()
    return realism_rows(str(context.task), real, pairs, photograph, seed=params.seed, **options)


def _provenance(context: StageContext, config: ReleaseParams) -> dict[str, object]:
    tree = context.params.model_dump(mode="json")
    parts = {name: tree[name] for name in MADE_BY}
    parts |= {"ingest": {name: tree["ingest"][name] for name in ("photos", context.task)}}
    parts |= {"fuse": {context.task: tree["fuse"][context.task]}, "publish": config.model_dump(mode="json")}
    return {
        "commit": tracking.commit(),
        "parameters": parts,
        "dvc.lock": lineage(LOCK, context.folder("synth")),
        "plgn": model_fingerprint(context.folder("plgn") / MODEL),
        "corpora": _corpora(context.folder("fuse")),
    }


def _corpora(root: Path) -> dict[str, dict[str, object]]:
    """By method: how many fused images taught the model, and a hash of them all."""
    tables = {path.parent.name: read_corpus(path.parent) for path in sorted(root.glob(f"*/{CORPUS}"))}
    return {
        name: {"images": len(entries), "sha256": hash_of(sorted((e.pair_id, e.sha256) for e in entries))}
        for name, entries in tables.items()
    }


def _git(*command: str) -> str:
    """What git says; empty outside a repository."""
    done = subprocess.run(["git", *command], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main("publish", run, sections=("publish",)))
