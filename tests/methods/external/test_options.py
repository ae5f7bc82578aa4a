import pytest

from sigforge.core.errors import UserError
from sigforge.methods.external.options import CommandOptions, external_method, parse_external

FOLDER = {"external": "folder", "path": "fused"}
COMMAND = {"external": "command", "command": "tool {a} {b} -o {out}"}


def test_options_have_defaults():
    parsed = parse_external("tool", COMMAND)
    assert isinstance(parsed, CommandOptions) and (parsed.timeout, parsed.batch) == (3600, 256)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("cnn", {"external": "ftp", "path": "x"}, "external: .*'folder', 'model', 'command'"),
        ("cnn", {"external": "folder"}, "path: is missing; add it"),
        ("cnn", FOLDER | {"paht": "x"}, "paht: unknown key; remove it"),
        ("cnn", FOLDER | {"path": ""}, "path: .*at least 1 character"),
        ("cnn", {"external": "command", "command": "tool {a} {b}"}, "command: names no {out}"),
        ("cnn", COMMAND | {"timeout": 0}, "timeout: .*greater than 0"),
        ("cnn", COMMAND | {"batch": 0}, "batch: .*greater than or equal to 1"),
        ("gff", FOLDER, "taken by a method of the project; choose another, e.g. gff_published"),
        ("../cnn", FOLDER, "becomes a folder"),
        (".cnn", FOLDER, "becomes a folder"),
    ],
)
def test_mistakes_name_the_key(name, options, problem):
    with pytest.raises(UserError, match=problem) as error:
        parse_external(name, options)
    assert "\n" not in str(error.value)


def test_facts_reach_the_tables():
    method = external_method("cnn", FOLDER | {"paper": "Liu et al., Information Fusion", "year": 2017})
    assert (method.name, method.kind, method.paper, method.year) == (
        "cnn",
        "external",
        "Liu et al., Information Fusion",
        2017,
    )
    assert method.notes == "external folder: fused" and method.n_sources == (2, 2)
    assert external_method("tool", COMMAND | {"notes": "version 3"}).notes == "version 3"


def test_fusing_by_hand_is_refused():
    with pytest.raises(UserError, match="cnn is external"):
        external_method("cnn", FOLDER).function(None)
