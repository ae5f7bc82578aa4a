"""The command line ``sigforge``: fuse, score and synthesise folders or single files, and check what lies on disk.

Exit codes: 0 done, 1 a pair was left out or a check found something (each named with its reason), 2 a mistake to be
mended by the user (one ``error:`` line). What a command does stands in the module of its name and is imported when it
runs, so that ``--help`` answers at once.
"""

import io
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from sigforge import __version__
from sigforge.cli.data import data_app
from sigforge.cli.shards import shards_app
from sigforge.core.errors import UserError
from sigforge.core.escape import escape_terminal
from sigforge.dataset.tasks import Task

TASK_HELP = "vif: infrared, visible; mif: CT, PET or SPECT, MRI; mfif: near, far; mef: under-, over-exposed."


class OneLineErrors(TyperGroup):
    """Turns a user's mistakes, in arguments or in files, into one line on stderr and exit code 2."""

    def main(self, *args: Any, **extra: Any) -> None:
        """Run a command and exit with the code it returns."""
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
        except UserError as error:
            code = _fail(str(error))
        except Exception as error:
            # Errors in the arguments: their class moved between versions of Typer, this method stayed.
            if not hasattr(error, "format_message"):
                raise
            context = getattr(error, "ctx", None)
            problem = error.format_message().strip().rstrip(".")
            code = _fail(f"{problem}. See '{context.command_path if context else 'sigforge'} --help'.")
        sys.exit(code)


app = typer.Typer(name="sigforge", cls=OneLineErrors, add_completion=False, pretty_exceptions_enable=False)
weights_app = typer.Typer(help="Published weights: import what others have trained, list what there is.")
app.add_typer(weights_app, name="weights")
app.add_typer(shards_app, name="shards")
app.add_typer(data_app, name="data")


@app.callback(invoke_without_command=True)
def sigforge(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> int:
    """The dataset factory for image fusion."""
    if context.invoked_subcommand is None:
        print(f"sigforge {__version__}" if version else context.get_help())
    return 0


@app.command(epilog="Example: sigforge methods --task mef")
def methods(
    name: Annotated[str | None, typer.Argument(help="One method, to see all that is known of it.")] = None,
    task: Annotated[Task | None, typer.Option(help="Only those meant for this task.")] = None,
) -> int:
    """List the fusion methods with papers, sizes, costs, weights and options; or one in full."""
    from sigforge.cli.methods import show_method, show_methods

    return show_method(name) if name else show_methods(task)


@app.command(epilog="Example: sigforge fuse ir/ vis/ -o fused/ --task vif --model gff")
def fuse(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results, or a .png file for one pair.")],
    task: Annotated[Task, typer.Option(help=TASK_HELP)],
    a: Annotated[Path | None, typer.Argument(help="First source: a file, or a folder of files.")] = None,
    b: Annotated[Path | None, typer.Argument(help="Second source; in folders, files are matched by stem.")] = None,
    model: Annotated[str, typer.Option(help="A name from 'sigforge methods', or a .safetensors file.")] = "sigfusion",
    option: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of the method; repeatable.")] = None,
    source: Annotated[
        list[Path] | None, typer.Option(help="In place of A and B: one of two or more sources; repeatable.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="In place of A and B: sequences.parquet, whose scenes are fused whole.")
    ] = None,
) -> int:
    """Fuse registered pairs of any size into lossless PNG; with --source or --scenes, more than two images of a scene.

    Colour is kept as the task calls for; 16-bit sources give 16-bit results.
    A pair that cannot be used is named with its reason; the exit code is then 1.
    """
    from sigforge.cli.fuse import fuse_inputs
    from sigforge.cli.fuse_sources import fuse_many, fuse_sequences, given_sources

    if scenes and (a or b or source):
        raise UserError("give --scenes alone, without A, B and --source")
    if scenes:
        return fuse_sequences(scenes, out, task=task, model=model, options=option or [])
    sources = given_sources(a, b, source or [])
    if len(sources) > 2:
        return fuse_many(sources, out, task=task, model=model, options=option or [])
    return fuse_inputs(sources[0], sources[1], out, task=task, model=model, options=option or [])


@app.command(epilog="Example: sigforge score --a ir/ --b vis/ --fused gff/ --csv scores.csv")
def score(
    a: Annotated[Path, typer.Option("--a", help="First source: a file, or a folder of files.")],
    b: Annotated[Path, typer.Option("--b", help="Second source; folders are matched by stem.")],
    fused: Annotated[list[Path], typer.Option(help="Fused file or folder; repeat to compare methods.")],
    metrics: Annotated[
        str,
        typer.Option(help="'paper' (SigFusion's six), 'both' (is either source lost?), 'all', or names."),
    ] = "paper,both",
    copies: Annotated[bool, typer.Option(help="Also rows of either source alone and of a collage.")] = True,
    csv: Annotated[Path | None, typer.Option(help="Also write the scores of every image there.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="The same as Parquet.")] = None,
    leaderboard: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Also write the table as .md, .tex or .html; repeatable.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the scores of all images there, as .svg or .png.")] = None,
    reference: Annotated[Path | None, typer.Option(help="True fused file or folder, for metrics that need it.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a method lacks a pair.")] = False,
) -> int:
    """Score fused images: means with 95 % intervals, best bold, over the pairs that every method has fused."""
    from sigforge.cli.score import ScoreOutputs, score_inputs

    outputs = ScoreOutputs(csv, parquet, leaderboard or (), plot)
    return score_inputs(
        *(a, b, fused),
        metrics=metrics,
        copies=copies,
        reference=reference,
        outputs=outputs,
        workers=workers,
        strict=strict,
    )


@app.command(epilog="Example: sigforge synth --task vif --images photos/ --out shards/ --size 256")
def synth(
    task: Annotated[Task, typer.Option(help=TASK_HELP)],
    images: Annotated[Path, typer.Option(help="Folder of photographs, sub-folders included.")],
    out: Annotated[str, typer.Option(help="Folder for the shards, or s3://bucket/prefix; finished ones are kept.")],
    shard_size: Annotated[int, typer.Option(min=1, help="Pairs per shard.")] = 1000,
    size: Annotated[int, typer.Option(min=64, max=2048, help="Side of the synthetic images, pixels.")] = 256,
    model: Annotated[Path | None, typer.Option(help="PLGN file; by default data/plgn/TASK/model.safetensors.")] = None,
    licence: Annotated[str, typer.Option(help="Of the photographs; recorded with every pair.")] = "unknown",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    crops: Annotated[int, typer.Option(min=1, max=1000, help="Squares taken from each photograph.")] = 1,
    pairs: Annotated[int | None, typer.Option(min=1, help="Stop after so many, photographs permitting.")] = None,
    maps: Annotated[
        Literal["segments", "transplant"] | None,
        typer.Option(help="How dominance maps lie over photographs, for a PLGN with a condition."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one only helps without a GPU.")] = 1,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, tcp://host:port; 'local' starts one here.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Make failed samples of finished shards again.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what it would take: shards, bytes, time, disk.")
    ] = False,
) -> int:
    """Turn photographs into shards of synthetic pairs; start again after an interruption and it goes on."""
    from sigforge.cli.synth import synthesise_folder
    from sigforge.core.storage import place

    return synthesise_folder(
        task,
        images,
        place(out),
        shard_size=shard_size,
        size=size,
        model=model,
        licence=licence,
        seed=seed,
        workers=workers,
        crops=crops,
        pairs=pairs,
        maps=maps,
        cluster=cluster,
        retry_failed=retry_failed,
        only_plan=plan,
    )


@app.command(epilog="Example: sigforge realism --real ir/ --synthetic shards/ --member a --before photos/")
def realism(
    real: Annotated[Path, typer.Option(help="Folder of real images of one modality, sub-folders included.")],
    synthetic: Annotated[Path, typer.Option(help="Folder of synthetic images, or of shards.")],
    before: Annotated[Path | None, typer.Option(help="Folder of the photographs they were made of.")] = None,
    member: Annotated[Literal["a", "b"], typer.Option(help="Which image of the pairs in shards.")] = "a",
    images: Annotated[int, typer.Option(min=6, help="At most so many of each, evenly spread.")] = 200,
    side: Annotated[
        int | None, typer.Option(min=32, help="Pixels of the crops: 128, or 256 of pairs; smaller images are left out.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of halves and folds.")] = 0,
    partners: Annotated[
        Path | None, typer.Option(help="Folder of the real images' partners (b): then pairs are compared, as pairs.")
    ] = None,
    few_shot: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Train the head alone on so many real pairs, with and without synthetic ones before."),
    ] = None,
    task: Annotated[Task, typer.Option(help="Of the pairs, for --few-shot.")] = "vif",
    steps: Annotated[int, typer.Option(min=4, help="Of each network, for --few-shot.")] = 300,
) -> int:
    """Measure how far synthetic images, or pairs, are from real ones: subbands, histograms, a classifier."""
    if few_shot and not partners:
        raise UserError("--few-shot trains on pairs: give the real images' partners with --partners")
    if partners:
        from sigforge.cli.pair_realism import show_few_shot, show_pair_realism

        both = (real, partners)
        if few_shot:
            return show_few_shot(task, both, synthetic, counts=few_shot, steps=steps, images=images, seed=seed)
        return show_pair_realism(both, synthetic, before, images=images, side=side or 256, seed=seed)
    from sigforge.cli.realism import show_realism

    side = side or 128
    return show_realism(real, synthetic, before, member=member, images=images, side=side, seed=seed)


@weights_app.command("import", epilog="Example: sigforge weights import ReFusion_IVIF.pth")
def weights_import(
    file: Annotated[Path, typer.Argument(help="The checkpoint as its authors publish it.")],
    name: Annotated[str | None, typer.Option("--as", help="Which it should be; else its bytes say.")] = None,
) -> int:
    """Convert a published checkpoint to safetensors, once; nothing in the file is run.

    The result lies outside the project, in ~/.cache/sigforge/weights or where SIGFORGE_WEIGHTS says.
    """
    from sigforge.cli.weights import import_weights

    return import_weights(file, name)


@weights_app.command("list", epilog="Example: sigforge weights list")
def weights_list() -> int:
    """List the published weights that can be imported, and where to get them."""
    from sigforge.cli.weights import show_weights

    return show_weights()


@app.command(epilog="Example: sigforge publish shards/ --name my-pairs --version 1.0.0 --author 'Jane Doe'")
def publish(
    folder: Annotated[Path, typer.Argument(help="Folder of finished shards, or a release that is to be sent.")],
    name: Annotated[str | None, typer.Option(help="Of the release: lower case, digits, . _ -")] = None,
    version: Annotated[str | None, typer.Option(help="1.0.0; 1.0.0-dev is a draft, which may be replaced.")] = None,
    out: Annotated[Path, typer.Option(help="Where the folder NAME-VERSION goes.")] = Path("data/publish"),
    append: Annotated[Path | None, typer.Option(help="An earlier release of which every pair must be kept.")] = None,
    photos: Annotated[Path | None, typer.Option(help="photos.parquet, which says whom to credit.")] = None,
    author: Annotated[str, typer.Option(help="Of photographs that name none.")] = "",
    exclude: Annotated[list[str] | None, typer.Option(help="A licence not wanted: nc, sa; repeatable.")] = None,
    creator: Annotated[str, typer.Option(help="Who publishes this.")] = "",
    homepage: Annotated[str, typer.Option(help="Address.")] = "",
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Folder, s3://..., hf://datasets/OWNER/NAME, zenodo:new; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be sent.")] = False,
) -> int:
    """Make a release of shards, in one folder that never changes, and send it.

    It has card, licences, credits, Croissant and checksums. Tokens come from HF_TOKEN, or the Hub's own login, and from
    ZENODO_TOKEN.
    """
    from sigforge.cli.publish import publish_and_send

    return publish_and_send(
        folder,
        to or (),
        dry_run=dry_run,
        name=name,
        version=version,
        out=out,
        append=append,
        photos=photos,
        author=author,
        exclude=exclude or (),
        creator=creator,
        homepage=homepage,
    )


@app.command(epilog="Example: sigforge verify data/synth/vif")
def verify(
    folder: Annotated[str, typer.Argument(help="A release or a folder of shards, or s3://bucket/prefix.")],
    decode: Annotated[bool, typer.Option("--decode", help="Of a release: also decode every image.")] = False,
) -> int:
    """Check every byte and every count of a release, or of the shards in a folder; list what is wrong."""
    from sigforge.cli.verify import verify_folder

    return verify_folder(folder, decode=decode)


@app.command(epilog="Example: sigforge doctor")
def doctor() -> int:
    """Check the installation and the project folder, one line each."""
    from sigforge.cli.doctor import examine

    return examine()


def main() -> None:
    """Entry point of the ``sigforge`` script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a terminal of another encoding stops nothing
    app(prog_name="sigforge")


def _fail(message: str) -> int:
    print(escape_terminal(f"error: {' '.join(message.split())}"), file=sys.stderr)
    return 2
