"""What the factory costs beside its network: ``python benchmarks/synth.py [--device cpu] [--pairs 16] [--batch 1]``.

Prints Markdown: the bare network against the whole of making a shard, the parts of the difference, and peak memory at n
and 10 n samples. ``--plan 1000000`` measures instead what planning and resuming cost with so many photographs.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import torch

from sigforge.core.device import machine
from sigforge.core.images import encode_webp, read_image, to_uint8
from sigforge.core.parallel import keep_freed_memory
from sigforge.core.parquet import write_parquet
from sigforge.dataset.hashes import fingerprint_of
from sigforge.dataset.sources.demo import photographs
from sigforge.dataset.tables import PHOTOS, Photo, read_photo_table
from sigforge.methods.sigfusion.plgn import KIND, Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import save_weights
from sigforge.shards.writer import ShardSample, write_shard
from sigforge.synthesis.channels import task_channels
from sigforge.synthesis.gates import Gates, refuse_pair, refused_photos
from sigforge.synthesis.plan import plan, shard_path
from sigforge.synthesis.run import done_markers, make_shard
from sigforge.synthesis.samples import SynthesisRecipe, sized_for, synthesizer_of
from sigforge.synthesis.synthesizer import fit_square, to_ycbcr

HEIGHT, WIDTH, TESTS, SHARD = 321, 481, 600, 1000


def main() -> None:
    """One of the two benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="vif")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--plan", type=int, metavar="PHOTOGRAPHS")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as every worker does
    with tempfile.TemporaryDirectory() as folder:
        if options.plan:
            print(planning(Path(folder), options.plan))
            return
        recipe = made_up_recipe(Path(folder), options)
        photos = written_photos(Path(folder))
        if options.peak_of:
            shards = plan(photos * -(-options.peak_of // len(photos)), options.peak_of)
            make_shard(shards[0], recipe=recipe, folder=Path(folder) / "out", key={})
            print(peak())
            return
        print(throughput(Path(folder), recipe, photos, options.pairs), parts(recipe, photos), sep="\n\n")
        print("\n" + memory(sys.argv[1:], options.pairs))


def throughput(folder: Path, recipe: SynthesisRecipe, photos: list[Photo], pairs: int) -> str:
    """The bare network against a whole shard; both after a first run that warms up."""
    maker = synthesizer_of(recipe)
    steps = -(-pairs // recipe.batch)
    squares = np.stack([to_ycbcr(fit_square(read_image(photo.path)[0], recipe.size)) for photo in photos])
    batch = np.ascontiguousarray(squares[np.arange(recipe.batch) % len(squares)])
    repeated = (photos * -(-pairs // len(photos)))[: steps * recipe.batch]
    shard = plan(repeated, len(repeated))[0]

    def bare() -> None:
        for _ in range(steps):
            maker.modulate(batch, maker.subtasks[0])

    def whole() -> None:
        make_shard(shard, recipe=recipe, folder=folder / "out", key={"run": time.monotonic()})

    maker.modulate(batch, maker.subtasks[0])
    rows, times = [], {}
    for name, work in (("network alone", bare), ("whole shard", whole)):
        wall, cpu = timed(work)
        times[name] = wall
        rows.append(f"| {name} | {1e3 * wall / len(repeated):.1f} | {1e3 * cpu / len(repeated):.1f} |")
    ratio = times["network alone"] / times["whole shard"]
    rows.append(f"\nRatio {ratio:.1%}; {len(repeated) / times['whole shard']:.2f} pairs/s")
    pairs = f"{recipe.task} {recipe.size} x {recipe.size}, batches of {recipe.batch}"
    head = f"{machine()}, torch {torch.__version__}, {recipe.device}, {pairs}"
    return "\n".join([head, "", "| a pair | ms | CPU ms |", "|---|---:|---:|", *rows])


def parts(recipe: SynthesisRecipe, photos: list[Photo]) -> str:
    """CPU time of every step of one pair, one after the other."""
    maker, spent = synthesizer_of(recipe), dict.fromkeys(STEPS, 0.0)
    for photo in photos:
        step = stopwatch(spent)
        with step("read and decode"):
            image = read_image(photo.path)[0]
        with step("cut and shrink"):
            square = fit_square(image, recipe.size)
        with step("to Y, Cb, Cr"):
            ycbcr = to_ycbcr(square)
        with step("network"):
            planes = {name: values[0] for name, values in maker.modulate(ycbcr[None], maker.subtasks[0]).items()}
        with step("put together"):
            pair = maker.assemble(square, ycbcr, planes, 0)
        with step("gates"):
            refuse_pair(square, pair.a, pair.b, Gates())
        with step("encode"):
            a, b = encode_webp(to_uint8(pair.a)), encode_webp(to_uint8(pair.b))
        with step("hash and write"), tempfile.TemporaryDirectory() as folder:
            sample = ShardSample("000000000", "p", pair.subtask, a, b, "webp", pair.facts)
            write_shard(shard_path(0, folder=Path(folder), task=recipe.task), [replace(sample)] * 10, {})
    spent["hash and write"] /= 10  # ten samples, for a shard's own files cost as much as several
    rows = [f"| {name} | {1e3 * seconds / len(photos):.2f} |" for name, seconds in spent.items()]
    return "\n".join(["| one pair, one after the other | CPU ms |", "|---|---:|", *rows])


STEPS = (
    "read and decode",
    "cut and shrink",
    "to Y, Cb, Cr",
    "network",
    "put together",
    "gates",
    "encode",
    "hash and write",
)


def memory(arguments: list[str], pairs: int) -> str:
    """Peak resident memory of processes that make one shard of n, and of 10 n samples."""
    peaks = {}
    for count in (pairs, 10 * pairs):
        command = [sys.executable, __file__, *arguments, "--peak-of", str(count)]
        peaks[count] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
    rows = [f"| {count} | {value:.0f} |" for count, value in peaks.items()]
    return "\n".join(["| samples in one shard | peak MB |", "|---|---:|", *rows])


def planning(folder: Path, count: int) -> str:
    """Seconds from a manifest alone to the list of shards that are missing, all of them being there."""
    path = folder / "photos.parquet"
    subprocess.run([sys.executable, "-c", WRITER, str(path), str(count)], check=True)
    rng, rows = np.random.default_rng(1), []
    tests = [f"{value:016x}" for value in rng.integers(0, 1 << 63, TESTS)]
    step = stopwatch(spent := {})
    before = peak()
    with step("read the manifest"):
        table = read_photo_table(path)
    with step("its hash"):
        key = {"inputs": fingerprint_of(table)}
    with step(f"gates, {TESTS} test images"):
        refused = refused_photos(table, Gates(), tests)
    with step("plan"):
        shards = plan(table, SHARD, refused, crops=2)
    for index in range(len(shards)):
        write_shard(shard_path(index, folder=folder, task="vif"), [], key)
    with step("what is there already"):
        list(done_markers(shards, "vif", folder, key))
    with step("first shard, put together"):
        len(shards[0].photos)
    rows = [f"| {name} | {seconds:.2f} |" for name, seconds in spent.items()]
    rows.append(f"| **all** | **{sum(spent.values()):.2f}** |")
    told = f"{count:,} photographs, {len(refused):,} refused, {len(shards):,} shards"
    peaks = f"Peak {peak():.0f} MB, of which {before:.0f} MB before the first step."
    return "\n".join(
        [f"{machine()}, torch {torch.__version__}: {told}", "", "| step | CPU s |", "|---|---:|", *rows, "", peaks]
    )


WRITER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from benchmarks.synth import write_manifest
write_manifest(sys.argv[1], int(sys.argv[2]))
"""


def write_manifest(path: str, count: int) -> None:
    """A made-up manifest: one photograph in twenty repeats another, a third forbids changed copies."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 63, count)
    hashes[rng.integers(0, count, count // 20)] = hashes[0]
    licences = np.array(["CC BY 2.0", "CC BY-NC 2.0", "CC BY-NC-ND 2.0"])[np.arange(count) % 3]
    columns = {
        "photo_id": [f"flickr-{n}" for n in range(count)],
        "path": [f"../datasets/flickr/images/{n // 10000}/im{n}.jpg" for n in range(count)],
        "sha256": [f"{value:016x}" * 4 for value in hashes.tolist()],
        "phash": [f"{value:016x}" for value in hashes.tolist()],
        **{name: np.full(count, 256, np.int32) for name in ("height", "width", "channels")},
        "source": ["flickr"] * count,
        "licence": licences,
        "licence_url": ["https://creativecommons.org/licenses/by/2.0/"] * count,
        "author": [f"author {n % 9999}" for n in range(count)],
        "allows_derivatives": licences != "CC BY-NC-ND 2.0",
        "allows_commercial": licences == "CC BY 2.0",
    }
    write_parquet(pa.table(columns, schema=PHOTOS), path, compression="zstd", row_group_size=65536)


def made_up_recipe(folder: Path, options: argparse.Namespace) -> SynthesisRecipe:
    """A network of the default size whose modulators change something."""
    torch.manual_seed(0)
    config = SigFormerConfig()
    plgn = Plgn(SigFormer(config), tuple(channel.name for channel in task_channels(options.task)))
    with torch.no_grad():
        for parameter in plgn.modulators.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    architecture = {"sigformer": config.model_dump(mode="json"), "channels": list(plgn.modulators)}
    save_weights(folder / "model.safetensors", plgn, kind=KIND, config=architecture)
    batch, threads = sized_for(options.device, options.batch)
    model = folder / "model.safetensors"
    facts = options.task, 0, options.size, "webp", True, model, "made up", options.device
    return SynthesisRecipe(*facts, batch=batch, threads=threads)


def written_photos(folder: Path, count: int = 5) -> list[Photo]:
    """Photographs from the scikit-image wheel as JPEG, of the size of BSDS500's."""
    records = []
    for n, photo in enumerate(photographs(count, 320, 0)):
        path = folder / f"{n}.jpg"
        levels = cv2.resize(to_uint8(photo.image), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), levels[..., ::-1] if levels.ndim == 3 else levels)
        terms = ("demo", "CC0", "", "somebody", True, True)
        records.append(Photo(f"p{n}", str(path), str(n), "0", HEIGHT, WIDTH, 3, *terms))
    return records


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def stopwatch(spent: dict[str, float]) -> Callable[[str], object]:
    """``with step("name"):`` adds the CPU seconds of its block to ``spent``."""

    @contextmanager
    def step(name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        spent[name] = spent.get(name, 0.0) + time.process_time() - started

    return step


def peak() -> float:
    """Peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
