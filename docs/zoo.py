"""Write docs/zoo.md: every fusion method's size, cost, agreement with its authors' code, and scores on real pairs.

``python docs/zoo.py``; needs the real images, the imported weights and the recorded outputs; ``--trained`` names the
folder of a run of ``conf/real.yaml`` whose systems and fusion networks are shown too. Fused images, contact sheets and
measured values go to ``data/zoo``: only what is missing there is made again, and nothing but the page by ``--tasks``
alone. Remove the folder to measure everything anew.
"""

import argparse
import json
import statistics
import sys
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import golden
import torch
import yaml
from contact_sheet import contact_sheet

from sigforge import models
from sigforge.config.load import overlay, resolve_path, validate
from sigforge.config.sections import Params
from sigforge.core.device import machine
from sigforge.core.errors import UserError
from sigforge.core.files import write_atomic
from sigforge.core.parallel import keep_freed_memory
from sigforge.core.progress import Progress
from sigforge.dataset.corpus import image_path
from sigforge.dataset.sources.folder_kinds import FolderPairs
from sigforge.dataset.sources.folders import check_pair, drop_duplicates, pair_folders
from sigforge.dataset.tables import Pair, Quarantined
from sigforge.dataset.tasks import OURS, TASKS
from sigforge.evaluation.both import both_ranks
from sigforge.evaluation.corpus_scores import score_image
from sigforge.evaluation.references import REFERENCES, copies, is_reference, references_last
from sigforge.methods.cost import COST_SIZE
from sigforge.methods.loading import method_in
from sigforge.methods.produce import configured
from sigforge.methods.registry import FusionMethod
from sigforge.methods.sigfusion.fusion import FusionNet
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.systems.method import get_system, list_systems, trained_systems
from sigforge.methods.weights import MODEL, read_kind, read_weights
from sigforge.metrics import BOTH, PAPER, get_metric, select_metrics
from sigforge.stages._base import StageContext
from sigforge.stages.evaluate import fuse_pairs
from sigforge.stages.fuse import fuse_corpus
from sigforge.stages.ingest import with_splits
from sigforge.tracking import StageRun

ROOT = Path(__file__).resolve().parents[1]
PAGE, FOLDER = ROOT / "docs/zoo.md", ROOT / "data/zoo"
PAIRS = {"vif": 10, "mif": 12, "mfif": 6, "mef": 4}
SHEET_PAIRS = 2
TRAINED_HERE = {name: get_system(name).build for name in list_systems()} | {
    OURS: lambda: FusionNet(SigFormer(SigFormerConfig()))
}
"""Networks that have no published weights, as they are by default."""

INTRODUCTION = """# The zoo

Made by `python docs/zoo.py` from the registry and measured values: do not edit. `sigforge methods NAME` says more of a
method, `sigforge weights list` where published weights are had.

SigFusion and the systems that stage `systems` trains have no published weights. Their kind is "trained here". Their
parameters (parts for training included), GFLOPs and ms are those of the networks by default, the papers' sizes. Their
scores are those of the narrower networks of `conf/real.yaml`. These were trained for minutes on a CPU and say nothing
of what the papers' training gives. `defusion_pp` was scored in its former form, `network: {form: paper}`.

- **Parameters** are learned numbers.
- **GFLOPs** are 10^9 operations for two sources of 640x480 pixels, multiplications and additions apart. Transforms and
  activations are left out.
- **ms** is CPU time of one thread for the same. {machine}, torch {torch}.
- **Golden** is the largest difference to the output of the authors' own code, with the same weights on real images, in
  [0, 1]. "None recorded" stands where there is nothing to compare with. Classical methods have no such output. Their
  tests compare them with their definitions.
"""

SCORES = """## {task}

Means over {pairs} real pairs ({sets}).
They are every {step} of the test split in order of their names. Best bold, second underlined.
Italic: copies of a source and a collage of both, which take no place ([metrics.md](metrics.md)).
s: CPU seconds per pair; min: CPU minutes for all {total} pairs at that rate; –: not measured.

{trained}
"""

HEADS = ("method", "paper", "kind", "parameters", "GFLOPs", "ms", "golden", "licence of the weights")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; exit code 2 if something is not there to be measured with."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=TASKS, help="measure these; the rest as it was")
    parser.add_argument("--pairs", type=int, help="pairs per task")
    parser.add_argument("--trained", type=Path, default=ROOT / "data", help="folder with 'systems' and 'finetune'")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()  # as every stage does
    params = real_params()
    try:
        for task in options.tasks:
            measure_task(task, params, options.pairs or PAIRS[task], options.trained)
        costs = remembered(FOLDER / "costs.json", partial(measure_costs, params))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    files = {task: FOLDER / task / "scores.json" for task in TASKS}
    write_atomic(PAGE, render(costs, {task: json.loads(f.read_text()) for task, f in files.items() if f.exists()}))
    return 0


def real_params() -> Params:
    """params.yaml with conf/real.yaml over it."""
    base, changes = (yaml.safe_load((ROOT / name).read_text()) for name in ("params.yaml", "conf/real.yaml"))
    return validate(overlay(base, changes))


def methods_of(params: Params) -> dict[str, FusionMethod]:
    """Every method of the configuration and its facts, in the registry's order; external ones last."""
    tables = {task: getattr(params.fuse, task) for task in TASKS}
    found = {name: configured(name, given, task) for task in TASKS for name, given in tables[task].items()}
    return dict(sorted(found.items(), key=lambda item: (item[1].kind == "external", item[0])))


# Measuring


def remembered(path: Path, measure) -> dict:
    """What ``measure`` gives, kept in a file."""
    if not path.exists():
        write_atomic(path, json.dumps(measure(), indent=1))
    return json.loads(path.read_text())


def measure_costs(params: Params) -> dict:
    """Per method CPU milliseconds on one 640x480 pair, and the worst difference to recorded outputs."""
    costs = {"machine": machine(), "torch": torch.__version__, "ms": {}, "golden": {}}
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 1, 30, 40, generator=generator)
    a, b = torch.nn.functional.interpolate(coarse, COST_SIZE, mode="bicubic").clamp(0, 1)[:, None]
    ready = {n: lambda n=n: models.load(n) for n, method in methods_of(params).items() if method.kind != "external"}
    for name, build in sorted({**ready, **TRAINED_HERE}.items()):
        fuse = build().fuse
        costs["ms"][name] = cpu_milliseconds(lambda fuse=fuse: fuse(a, b))
        print(f"{name}: {costs['ms'][name]:.1f} ms", file=sys.stderr, flush=True)
    for case in golden.CASES:
        found, _ = golden.difference(case)
        costs["golden"][case.method] = max(found, costs["golden"].get(case.method, 0))
        print(f"{case.file}: {found:.1e}", file=sys.stderr, flush=True)
    return costs


def cpu_milliseconds(work) -> float:
    """Of this process, by the clock that stands still while others run: median of three, of one where it is long."""
    spent = []
    while len(spent) < (1 if spent and spent[0] > 3000 else 3):
        started = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - started))
    return statistics.median(spent)


def measure_task(task: str, params: Params, count: int, trained: Path) -> None:
    """Fuse a sample of the task's test pairs with all its methods, score it, draw the contact sheet."""
    pairs, step, total = sample(task, params, count)
    context, path = StageContext("fuse", task, params, StageRun()), FOLDER / task / "scores.json"
    seconds = json.loads(path.read_text())["seconds"] if path.exists() else {}
    networks = trained_here(task, trained)
    facts = {"pairs": len(pairs), "step": step, "total": total, "sets": sorted({pair.source for pair in pairs})}
    facts["trained"] = {name: learned_numbers(path) for name, path in networks.items()}
    rows: dict[str, dict[str, float]] = {}
    for name in [*getattr(params.fuse, task), *networks]:
        started = time.process_time()
        if new := fuse(name, pairs, context, networks.get(name)):
            seconds[name] = (time.process_time() - started) / new
        rows[name] = mean_scores(pairs, name, FOLDER / task / name)
        write_atomic(path, json.dumps(facts | {"seconds": seconds, "methods": rows}, indent=1))
        print(f"{task} {name}", file=sys.stderr, flush=True)
    asides = {name: mean_scores(pairs, name) for name in REFERENCES}
    write_atomic(path, json.dumps(facts | {"seconds": seconds, "methods": rows | asides}, indent=1))
    contact_sheet(pairs[:: -(-len(pairs) // SHEET_PAIRS)], FOLDER / task, rows).save(FOLDER / f"{task}.png")


def fuse(name: str, pairs: Sequence[Pair], context: StageContext, model: Path | None) -> int:
    """Fuse with a configured method, or with a model that was trained here; how many pairs had not been fused."""
    folder, started = FOLDER / context.task / name, time.time()
    if model is None:
        options = getattr(context.params.fuse, context.task)[name]
        return len(fuse_corpus(folder, name, options, pairs, context, Progress(name, len(pairs))))
    made = fuse_pairs(folder, model, method_in(model), pairs, context, "cpu")
    return sum(path.stat().st_mtime >= started for path in made.values())


def trained_here(task: str, root: Path) -> dict[str, Path]:
    """The model files of a run: the task's systems and its fusion network."""
    ours = root / "finetune" / task / MODEL
    return trained_systems(root / "systems" / task) | ({OURS: ours} if ours.exists() else {})


def learned_numbers(model: Path) -> int:
    """How many a model file holds."""
    return sum(tensor.numel() for tensor in read_weights(model, kind=read_kind(model))[0].values())


def mean_scores(pairs: Sequence[Pair], name: str, folder: Path | None = None) -> dict[str, float]:
    """What the page shows of one method's images, as stage ``evaluate`` scores them; copies and collage need none."""
    metrics = select_metrics("paper, both")
    files = [folder and image_path(folder, pair.pair_id) for pair in pairs]
    units = zip(pairs, files, strict=True)
    scored = [row for pair, file in units for row in score_image((pair, name, file), metrics=metrics)]
    return {m.name: statistics.fmean(row.value for row in scored if row.metric == m.name) for m in metrics}


def sample(task: str, params: Params, count: int) -> tuple[list[Pair], int, int]:
    """At most ``count`` pairs of the test split that stage ``ingest`` would draw.

    Returns:
        The pairs, the step between them in the split, and how many pairs the task has in all.

    Raises:
        UserError: the folders of real images are not there.
    """
    config = getattr(params.ingest, task)
    candidates = [candidate for source in config.sources for candidate in folder_pairs(task, source)]
    checked = [found for found in map(check_pair, candidates) if not isinstance(found, Quarantined)]
    shares = {"train": 1 - config.splits.val - config.splits.test, "val": config.splits.val, "test": config.splits.test}
    drawn = with_splits(drop_duplicates(checked)[0], shares, params.seed, {})
    test = sorted((pair for pair in drawn if pair.split == "test"), key=lambda pair: pair.pair_id)
    step = max(1, len(test) // count)
    return test[::step][:count], step, len(drawn)


def folder_pairs(task: str, source: FolderPairs) -> list:
    """The candidates of one configured pair of folders."""
    a, b = resolve_path(source.a), resolve_path(source.b)
    return pair_folders(a, b, task=task, subtask=source.subtask, source=source.name, licence=source.licence)[0]


# Showing


def render(costs: Mapping, tables: Mapping[str, Mapping]) -> str:
    """The whole page."""
    methods = methods_of(real_params()) | {name: models.get_method(name) for name in TRAINED_HERE}
    head = INTRODUCTION.format(machine=costs["machine"], torch=costs["torch"])
    parts = [head, table(HEADS, (facts(method, costs) for method in methods.values())), ""]
    for task, found in tables.items():
        trained = ", ".join(f"`{name}` ({count:,} numbers)" for name, count in sorted(found["trained"].items()))
        trained = textwrap.fill(f"Trained here: {trained or 'none'}.", 118, break_on_hyphens=False)
        text = found | {"step": ordinal(found["step"]), "sets": ", ".join(found["sets"]), "trained": trained}
        parts += [SCORES.format(task=task, **text), score_table(found["methods"], found["seconds"], found["total"]), ""]
        if notes := "\n".join(f"- {note}" for note in copies(found["methods"])):
            parts += [notes, ""]
    return "\n".join(parts)


def facts(method: FusionMethod, costs: Mapping) -> list[str]:
    """A method's row of the first table."""
    weights = getattr(method, "weights", {})
    milliseconds = costs["ms"].get(method.name)
    difference = costs["golden"].get(method.name)
    return [
        f"`{method.name}`",
        f"{method.paper} {method.year or ''}".strip() or "–",
        "trained here" if method.name in TRAINED_HERE else method.kind,
        f"{method.parameters:,}" if method.parameters else "–",
        f"{method.flops / 1e9:.1f}" if method.flops else "–",
        "–" if milliseconds is None else f"{milliseconds:.3g}" if milliseconds < 1000 else f"{milliseconds:,.0f}",
        f"{difference:.1e}" if difference is not None else "none recorded" if weights else "–",
        ", ".join(sorted({each.licence for each in weights.values()})) or "–",
    ]


def score_table(rows: Mapping[str, Mapping[str, float]], seconds: Mapping[str, float], total: int) -> str:
    """Methods, then copies and collage, by the paper's six metrics; where it is measured, ``both``; what each took."""
    methods = [row for name, row in rows.items() if not is_reference(name)]
    ranks = {}
    for name in PAPER:
        ranks[name] = sorted({row[name] for row in methods}, reverse=get_metric(name).higher_is_better)
    both = both_ranks(rows) if all(name in row for row in methods for name in BOTH) else {}
    symbols = (f"{get_metric(name).symbol} {get_metric(name).arrow}" for name in PAPER)
    body = []
    for name in references_last(sorted(rows)):
        aside = is_reference(name)
        cells = [f"{rows[name][m]:.4g}" if aside else marked(rows[name][m], ranks[m]) for m in PAPER]
        lead = [f"*{name}*" if aside else f"`{name}`", *([f"{both[name]:.1f}"] if both else [])]
        body.append([*lead, *cells, *times(seconds.get(name), total)])
    return table(["method", *(["both ↓"] if both else []), *symbols, "s", "min"], body)


def times(seconds: float | None, total: int) -> tuple[str, str]:
    """Per pair in seconds, and for all pairs in minutes."""
    if seconds is None:
        return "–", "–"
    return f"{seconds:.2f}", f"{seconds * total / 60:.1f}"


def marked(value: float, ranked: Sequence[float]) -> str:
    """Four digits, with the marks of first and second."""
    text = f"{value:.4g}"
    return f"**{text}**" if value == ranked[0] else f"<u>{text}</u>" if value == ranked[1] else text


def ordinal(step: int) -> str:
    """1 to 'one', 2 to 'second', 3 to '3rd' ..."""
    return {1: "one", 2: "second", 3: "third"}.get(step, f"{step}th")


def table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
