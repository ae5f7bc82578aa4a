import sys
from functools import partial

import pytest

from sigforge.core import provenance
from sigforge.core.provenance import closure, code_hash, files_of, is_plumbing, module_of
from sigforge.methods.registry import get_method, list_methods


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes a package, its module importing its helpers in the given way, and loads it."""

    def write(name, imports):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("def late():\n    from . import bystander\n")
        (folder / "method.py").write_text(f"{imports}\n\ndef fuse(sources):\n    return sources[0]\n")
        (folder / "helper.py").write_text("from math import pi\nfrom . import deeper\nWIDTH = 2\n")
        (folder / "deeper.py").write_text(f"import {name}.helper\n")
        (folder / "bystander.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        __import__(f"{name}.method")
        provenance._path_of.cache_clear()
        provenance._imported.cache_clear()
        provenance._code.cache_clear()
        return folder

    return write


@pytest.mark.parametrize(
    ("name", "imports"),
    [
        ("absolute_name", "from absolute_name.helper import WIDTH"),
        ("absolute_module", "from absolute_module import helper"),
        ("plain_import", "import plain_import.helper as other"),
        ("relative_name", "from .helper import WIDTH"),
        ("relative_module", "from . import helper"),
        ("late_import", "def f():\n    from . import helper"),
    ],
)
def test_helpers_count_however_they_are_imported(package, name, imports):
    package(name, imports)
    assert closure(f"{name}.method") == tuple(sorted([name, *(f"{name}.{m}" for m in ("deeper", "helper", "method"))]))


def test_a_module_without_helpers_is_itself(package):
    folder = package("lonely", "import torch")
    assert files_of(closure("lonely.method")) == (folder / "method.py",)


def test_what_only_a_type_checker_imports_does_not_count(package):
    package("typed", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from typed import helper")
    assert "typed.helper" not in closure("typed.method")


def test_comments_and_docstrings_change_no_hash_and_code_does(package):
    folder = package("hashed", "from . import helper")
    before = code_hash("hashed.method")
    for text, same in (('"""Told."""\nWIDTH = 2  # pixels\n', True), ("WIDTH = 3\n", False)):
        (folder / "helper.py").write_text("from math import pi\nfrom . import deeper\n" + text)
        provenance._code.cache_clear()
        assert (code_hash("hashed.method") == before) is same


def test_methods_share_helpers_but_not_modules():
    names = {name: set(closure(module_of(get_method(name).function))) for name in ("gff", "mertens", "dwt", "mean")}
    own = {name: {m.rpartition(".")[2] for m in found if ".classical." in m} for name, found in names.items()}
    assert own["gff"] == {"gff", "filters", "guided", "rules"}
    assert own["mertens"] == {"mertens", "filters", "pyramid", "rules"}
    assert own["dwt"] == {"dwt", "rules"}
    assert own["mean"] == {"mean"}


def test_a_corpus_of_a_published_network_knows_what_its_network_runs_through():
    """It went through ``tiling.py`` and did not notice a change of it."""
    assert "sigforge.methods.tiling" in closure(get_method("densefuse").module)


def test_seeds_splits_and_device_decide_results():
    assert "sigforge.core.seeds" in closure("sigforge.stages.synth")
    assert "sigforge.dataset.splits" in closure("sigforge.stages.ingest")
    assert "sigforge.core.device" in closure("sigforge.stages.synth")
    assert not any(is_plumbing(name) for name in closure("sigforge.stages.report"))


@pytest.mark.parametrize("name", list_methods())
def test_every_method_has_code_and_the_same_answer_twice(name):
    module = module_of(get_method(name).function)
    assert code_hash(module) == code_hash(module)
    assert all(path.is_absolute() and path.is_file() for path in files_of(closure(module)))


def test_partial_functions_are_where_their_function_is():
    assert module_of(partial(closure, "x")) == module_of(closure) == "sigforge.core.provenance"


def test_a_name_without_source_is_refused():
    assert "numpy" in sys.modules
    with pytest.raises(ValueError, match=r"sigforge\.nowhere: no module"):
        closure("sigforge.nowhere")
