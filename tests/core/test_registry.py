"""The one registry: lazy, in natural order, helpful about wrong names, and safe from broken packages."""

import sys

import pytest

from sigforge.core import registry
from sigforge.core.errors import UserError
from sigforge.core.registry import Registry, nearest

MODULE = """
from {package}.shelf import TOOLS
TOOLS.add("{name}", {value}, holder=__name__)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose modules register tools, and one of whose folders does, too."""
    root = tmp_path / "shed"
    for folder in (root, root / "big", root / "big/crane"):
        folder.mkdir()
        (folder / "__init__.py").touch()
    (root / "shelf.py").write_text(
        "from sigforge.core.registry import Registry\n"
        "TOOLS = Registry('tool', modules=('shed.*', 'shed.big.*.facts'), group='shed.tools')\n"
    )
    (root / "saw.py").write_text(MODULE.format(package="shed", name="saw_10", value=1))
    (root / "axe.py").write_text(MODULE.format(package="shed", name="saw_2", value=2))
    (root / "big/crane/facts.py").write_text(MODULE.format(package="shed", name="crane", value=3))
    (root / "big/crane/engine.py").write_text("raise AssertionError('nobody asked for the engine')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("shed", "guest", "ruin")]:
        del sys.modules[name]


def install(monkeypatch, **modules):
    """Pretend that packages are installed whose entry points name these modules."""

    class Point:
        dist = None

        def __init__(self, name, value):
            self.name, self.value = name, value

        def load(self):
            return __import__(self.value)

    asked = []

    def entry_points(group):
        asked.append(group)
        return [Point(name, value) for name, value in modules.items()]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return asked


def test_modules_are_imported_when_the_first_name_is_asked_for(package):
    from shed.shelf import TOOLS

    assert "shed.saw" not in sys.modules
    assert TOOLS.names() == ("crane", "saw_2", "saw_10"), "natural order"
    assert TOOLS.entries() == (3, 2, 1) and TOOLS.get("saw_10") == 1 and "saw_2" in TOOLS and "saw" not in TOOLS
    assert "shed.big.crane.engine" not in sys.modules, "of a folder, only the module that is named"


def test_one_module_alone_brings_no_other(package):
    __import__("shed.axe")
    assert "shed.axe" in sys.modules and "shed.saw" not in sys.modules
    assert sys.modules["shed.shelf"].TOOLS.names() == ("crane", "saw_2", "saw_10")


def test_entries_of_one_class():
    mixed = Registry("thing")
    for name, value in {"b": 2, "a": "one", "c": 3}.items():
        mixed.add(name, value, holder="here")
    assert mixed.of(int) == (2, 3) and mixed.of(str) == ("one",)


def test_a_taken_name_says_who_holds_it():
    tools = Registry("tool")
    tools.add("saw", 1, holder="the shed")
    with pytest.raises(ValueError, match="^tool 'saw' is already defined by the shed$"):
        tools.add("saw", 2, holder="the barn")
    assert tools.get("saw") == 1


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("saw_3", "did you mean 'saw_2'"),
        ("CRANE", "did you mean 'crane'"),
        ("saw", "did you mean 'saw_2'"),
        ("?", "choose from crane, saw_2, saw_10"),
    ],
)
def test_a_wrong_name_gets_one_line_of_advice(package, name, advice):
    from shed.shelf import TOOLS

    with pytest.raises(UserError) as error:
        TOOLS.get(name)
    assert str(error.value).startswith(f"unknown tool {name!r}: {advice}") and "\n" not in str(error.value)


def test_a_name_that_goes_on_is_nearer_than_one_that_looks_alike():
    assert nearest("refusion", ("defusion", "refusion_trained")) == "refusion_trained"
    assert nearest("q_gg", ("q_g", "sd")) == "q_g" and nearest("zzz", ("q_g", "sd")) is None


def test_installed_packages_add_to_it(package, monkeypatch):
    from shed.shelf import TOOLS

    (package / "guest.py").write_text(MODULE.format(package="shed", name="drill", value=4))
    asked = install(monkeypatch, guest="guest")
    assert TOOLS.get("drill") == 4 and asked == ["shed.tools"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            MODULE.format(package="shed", name="saw_2", value=9),
            "ValueError: tool 'saw_2' is already defined by shed.axe",
        ),
        ("def broken(:\n", "SyntaxError: "),
    ],
)
def test_a_broken_package_costs_a_line_and_what_it_registered(package, monkeypatch, capsys, text, reason):
    from shed.shelf import TOOLS

    (package / "ruin.py").write_text(MODULE.format(package="shed", name="half", value=5) + text)
    (package / "guest.py").write_text(MODULE.format(package="shed", name="drill", value=4))
    install(monkeypatch, ruin="ruin", guest="guest")
    assert TOOLS.names() == ("crane", "drill", "saw_2", "saw_10") and TOOLS.get("saw_2") == 2
    told = capsys.readouterr().err
    assert told.startswith("warning: shed.tools of ruin left out: ") and reason in told and told.count("\n") == 1


def test_a_fault_of_our_own_is_not_hidden(package):
    (package / "shed/rotten.py").write_text("raise RuntimeError('rotten')")
    from shed.shelf import TOOLS

    for _ in range(2):
        with pytest.raises(RuntimeError, match="rotten"):
            TOOLS.names()
