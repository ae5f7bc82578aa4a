from functools import partial

import pytest

from components.baselines import get_method, list_methods, method_sources, registry
from components.baselines.provenance import code_of
from components.errors import UserError

METHOD = """
from components.baselines.registry import fusion_method
{imports}

@fusion_method("borrowed", tasks=("vif",))
def fuse(sources):
    return sources[0]
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes a package with one method, importing its helpers in the given way, and loads it."""
    list_methods()
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))

    def write(name, imports):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "method.py").write_text(METHOD.format(imports=imports))
        (folder / "helper.py").write_text("from math import pi\nfrom . import deeper\nWIDTH = 2\n")
        (folder / "deeper.py").write_text(f"import {name}.helper\n")
        (folder / "bystander.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        __import__(f"{name}.method")
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
    ],
)
def test_helpers_count_however_they_are_imported(package, name, imports):
    folder = package(name, imports)
    assert method_sources("borrowed") == sorted(folder / f"{stem}.py" for stem in ("deeper", "helper", "method"))


def test_a_method_without_helpers_is_its_module(package):
    folder = package("lonely", "import torch")
    assert method_sources("borrowed") == [folder / "method.py"]


def test_methods_share_helpers_but_not_modules():
    names = {name: {path.name for path in method_sources(name)} for name in ("gff", "mertens", "dwt", "mean")}
    assert names["gff"] == {"gff.py", "filters.py", "guided.py", "rules.py"}
    assert names["mertens"] == {"mertens.py", "filters.py", "pyramid.py", "rules.py"}
    assert names["dwt"] == {"dwt.py", "rules.py"}
    assert names["mean"] == {"mean.py"}


@pytest.mark.parametrize("name", list_methods())
def test_files_exist_and_the_first_question_is_answered_the_same_twice(name):
    files = method_sources(name)
    assert all(path.is_absolute() and path.is_file() for path in files)
    assert files == method_sources(name)
    assert any(f'@fusion_method("{name}"' in path.read_text() or f'    "{name}",' in path.read_text() for path in files)
    assert get_method(name).function.__module__.rpartition(".")[2] in {path.stem for path in files}


def test_networks_count_their_own_package(package):
    folder = package("network", "from network.helper import WIDTH")
    import network.method as module

    expected = [folder / f"{stem}.py" for stem in ("deeper", "helper", "method")]
    assert code_of(module.fuse) == code_of(partial(module.fuse, None)) == expected


def test_an_unknown_method_is_the_users_error():
    with pytest.raises(UserError, match="did you mean 'laplacian'"):
        method_sources("laplace")
