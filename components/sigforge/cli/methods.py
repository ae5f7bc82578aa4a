"""``sigforge methods``."""

from collections.abc import Iterator

from rich.table import Table

from sigforge.cli.console import say, show
from sigforge.methods.published.checkpoints import weights_file
from sigforge.methods.published.method import PublishedMethod, Weights
from sigforge.methods.registry import FusionMethod, get_method, list_methods


def show_methods(task: str | None) -> int:
    """Print all methods, or those of a task."""
    table = Table("method", "tasks", "sources", "kind", "parameters", "GFLOPs", "weights", "paper", "options")
    for name in list_methods(task):
        method = get_method(name)
        size = [f"{method.parameters:,}" if method.parameters else "", gigaflops(method)]
        facts = [name, " ".join(method.tasks), count_of(method), method.kind, *size, state_of(method)]
        table.add_row(*facts, cited(method), defaults_of(method))
    show(table)
    return 0


def show_method(name: str) -> int:
    """Print all that is known of one method.

    Raises:
        UserError: no method has this name; the message suggests the nearest.
    """
    method = get_method(name)
    rows = {
        "tasks": " ".join(method.tasks),
        "sources": count_of(method),
        "kind": method.kind,
        "paper": cited(method),
        "rule": method.equation,
        "notes": method.notes,
        "parameters": f"{method.parameters:,}",
        "GFLOPs": gigaflops(method) and f"{gigaflops(method)} per 640x480 image",
        "options": defaults_of(method),
    }
    print(name)
    for key, value in [*rows.items(), *weights_of(method)]:
        if value:
            say(f"  {key:<11}{value}")
    return 0


def weights_of(method: FusionMethod) -> Iterator[tuple[str, str]]:
    """Every published checkpoint of a method: its tasks, file, hash, terms and origin."""
    if isinstance(method, PublishedMethod):
        for weights in dict.fromkeys(method.weights.values()):
            file, here = weights.path.rpartition("/")[2], _imported(weights)
            state = f"imported: {weights_file(weights)}" if here else f"missing: {weights.advice}"
            yield (
                "weights",
                f"{' '.join(method.tasks_of(weights))}: {file}, licence {weights.licence}, from {weights.url}",
            )
            yield "", f"sha256 {weights.sha256}; {state}"


def state_of(method: FusionMethod) -> str:
    """Whether a method's weights are here, in a few words; nothing where it needs none."""
    if not isinstance(method, PublishedMethod):
        return "trained here" if method.kind == "learned" else ""
    every = set(method.weights.values())
    here = sum(map(_imported, every))
    state = "imported" if here == len(every) else "missing" if not here else f"{here} of {len(every)}"
    return f"{state}; {' '.join(sorted({weights.licence for weights in every}))}"


def count_of(method: FusionMethod) -> str:
    """How many sources a method takes."""
    least, most = method.n_sources
    return f"{least} or more" if most is None else str(least) if most == least else f"{least} to {most}"


def cited(method: FusionMethod) -> str:
    """Paper and year."""
    return f"{method.paper} {method.year or ''}".strip()


def gigaflops(method: FusionMethod) -> str:
    """Cost of a network on a 640x480 image, in 10^9 operations; nothing for the others."""
    return f"{method.flops / 1e9:.1f}" if method.flops else ""


def defaults_of(method: FusionMethod) -> str:
    """Options with their defaults."""
    return " ".join(f"{key}={value}" for key, value in method.defaults.items())


def _imported(weights: Weights) -> bool:
    return weights_file(weights).is_file()
