"""Stage ``fuse``: every configured fusion method fuses every pair of a task; only what is missing is computed."""

import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from components.baselines import get_method, method_sources
from components.corpus import CORPUS, Entry, read_corpus, write_corpus
from components.files import fingerprint, hash_of, sha256_file
from components.fusing import fuse_files
from components.images import write_image
from components.manifest import Pair, read_pairs
from components.progress import progress
from components.runner import run_units
from components.stages.base import PACKAGE, Context, main, open_folder

CHUNK = 16
SHARED_CODE = ("fusing.py", "colour.py", "images.py")


def run(context: Context) -> None:
    """Fuse all pairs of a task with all its methods."""
    manifest = context.folder("ingest") / "pairs.parquet"
    pairs = read_pairs(manifest)
    methods: dict[str, dict[str, Any]] = getattr(context.params.fuse, context.task)
    root = context.folder()
    for stale in sorted(root.glob("*/")):
        if stale.name not in methods:
            shutil.rmtree(stale)
    with progress(context.name, len(pairs) * len(methods)) as bar:
        for name, options in methods.items():
            before = bar.done
            seconds = fuse_corpus(root / name, name, options, pairs, context, bar.advance)
            bar.advance(before + len(pairs) - bar.done, note=name)
            if seconds:
                context.ledger.value(f"seconds_per_pair_{name}", sum(seconds) / len(seconds))
    context.ledger.value("pairs", len(pairs))
    context.ledger.dataset(f"{context.task} pairs", manifest)


def fuse_corpus(folder: Path, name: str, options: dict, pairs: Sequence[Pair], context: Context, advance) -> list[float]:  # noqa: ANN001
    """Bring one method's corpus up to date; returns the seconds of each newly fused pair."""
    code = fingerprint([*method_sources(name), *(PACKAGE / file for file in SHARED_CODE)])
    identity = {"method": name, "options": hash_of(options), "code": code}
    open_folder(folder, identity)
    entries = {entry.pair_id: entry for entry in _valid_entries(folder, pairs)}
    missing = [pair for pair in pairs if pair.pair_id not in entries]
    for stray in {path.stem for path in folder.glob("*.png")} - set(entries):
        (folder / f"{stray}.png").unlink()
    chunks = [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]
    work = partial(_fuse_chunk, name=name, options=options, folder=folder, mark=hash_of(identity))
    new: list[float] = []
    for done in run_units(work, chunks, workers=context.params.compute.workers if len(missing) > 4 * CHUNK else 1):
        entries |= {entry.pair_id: entry for entry in done}
        new += [entry.seconds for entry in done]
        write_corpus(folder / CORPUS, entries.values())
        advance(len(done), note=name)
    if not missing:
        write_corpus(folder / CORPUS, entries.values())
    return new


def _valid_entries(folder: Path, pairs: Sequence[Pair]) -> list[Entry]:
    """Entries whose pair is still in the manifest, with the same sources, and whose image is there."""
    sources = {pair.pair_id: _sources_hash(pair) for pair in pairs}
    return [
        entry
        for entry in read_corpus(folder)
        if sources.get(entry.pair_id) == entry.sources_sha256 and (folder / f"{entry.pair_id}.png").exists()
    ]


def _fuse_chunk(pairs: Sequence[Pair], *, name: str, options: dict, folder: Path, mark: str) -> list[Entry]:
    method = get_method(name)
    entries = []
    for pair in pairs:
        started = time.perf_counter()
        fused = fuse_files(partial(method.fuse, **options), pair.a_path, pair.b_path, pair.task)
        seconds = round(time.perf_counter() - started, 4)
        path = folder / f"{pair.pair_id}.png"
        write_image(path, fused)
        entries.append(Entry(pair.pair_id, sha256_file(path), _sources_hash(pair), seconds, mark))
    return entries


def _sources_hash(pair: Pair) -> str:
    return hash_of([pair.a_sha256, pair.b_sha256])


if __name__ == "__main__":
    sys.exit(main("fuse", run, sections=("fuse", "compute")))
