import dataclasses
import subprocess
import sys

import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.registry import METHODS, FusionMethod, fusion_method, get_method, list_methods


@pytest.fixture
def scratch(monkeypatch):
    """A registry to write into, thrown away afterwards."""
    list_methods()
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))


def first(sources, *, gain: float = 1.0, steps: int = 2, exact: bool = True):
    return sources[0] * gain


def test_the_founding_methods_are_there_in_order():
    names = list_methods()
    founders = {"dwt", "gff", "laplacian", "max", "mean", "mertens"}
    assert founders | {"dtcwt", "eol", "gtf", "msvd", "pca", "rolp", "swt", "two_scale"} <= set(names)
    assert list(names) == sorted(names)


def test_tasks_select_methods():
    assert "mertens" in list_methods("mef") and "mertens" not in list_methods("vif")
    assert "max" in list_methods("vif") and "max" not in list_methods("mef")
    with pytest.raises(UserError, match=r"'pansharpening'.*vif, mif, mfif, mef"):
        list_methods("pansharpening")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match="unknown method 'laplace': did you mean 'laplacian'"):
        get_method("laplace")
    with pytest.raises(UserError, match=r"choose from .*gff"):
        get_method("zzzz")


def test_a_new_method_is_registered_under_its_name_and_returned(scratch):
    assert fusion_method("first", tasks=("vif",), year=2030, n_sources=(2, 2))(first) is first
    method = get_method("first")
    assert (method.name, method.function, method.tasks, method.year) == ("first", first, ("vif",), 2030)
    assert "first" in list_methods("vif") and "first" not in list_methods("mef")


def test_a_taken_name_is_an_error_that_names_the_holder(scratch):
    with pytest.raises(ValueError, match=r"'gff' is already defined by sigforge\.methods\.classical\.gff\.fuse_gff"):
        fusion_method("gff", tasks=("vif",))(first)
    assert get_method("gff").function is not first


def test_an_unknown_task_is_refused_at_registration(scratch):
    with pytest.raises(ValueError, match="pansharpening"):
        fusion_method("first", tasks=("vif", "pansharpening"))
    assert "first" not in list_methods()


def test_methods_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_method("gff").tasks = ()


def test_defaults_are_the_papers():
    assert get_method("mean").defaults == {}
    assert get_method("laplacian").defaults == {"levels": 4}
    assert get_method("dwt").defaults == {"wavelet": "db4", "levels": 4, "mode": "symmetric"}
    assert get_method("mertens").defaults == {"omega_c": 1.0, "omega_e": 1.0, "sigma": 0.2}
    assert get_method("pca").defaults == get_method("max").defaults == {}
    assert get_method("rolp").defaults == {"levels": 4, "offset": 0.02}
    assert get_method("swt").defaults == {"wavelet": "haar", "levels": 4}
    assert get_method("dtcwt").defaults == {"levels": 4} and get_method("msvd").defaults == {"levels": 1}
    assert get_method("gtf").defaults == {"lambda_": 4.0, "iterations": 100}
    assert get_method("two_scale").defaults == {"mean_radius": 17, "median_radius": 1}
    assert get_method("eol").defaults == {"window_radius": 4, "majority_radius": 7}
    gff = get_method("gff").defaults
    assert (gff["average_radius"], gff["r_g"], gff["sigma_g"]) == (15, 5, 5.0)
    assert (gff["r1"], gff["eps1"], gff["r2"], gff["eps2"]) == (45, 0.3, 7, 1e-6)


@pytest.mark.parametrize(
    ("limits", "count", "wanted"),
    [
        ((2, 2), 3, "2 sources, got 3"),
        ((2, 3), 4, "2 to 3 sources, got 4"),
        ((3, None), 2, "at least 3 sources, got 2"),
    ],
)
def test_the_number_of_sources_is_checked(limits, count, wanted):
    images = [torch.zeros(1, 1, 4, 4)] * count
    with pytest.raises(ValueError, match=f"first fuses {wanted}"):
        FusionMethod("first", first, ("vif",), n_sources=limits).fuse(*images)


def test_options_reach_the_function():
    ones, method = torch.ones(1, 1, 4, 4), FusionMethod("first", first, ("vif",))
    assert torch.equal(method.fuse(ones, ones, gain=0.25), 0.25 * ones)
    assert torch.equal(method.fuse(ones, ones, gain=1, steps=3, exact=False), ones)


@pytest.mark.parametrize(
    "option", [{"gain": True}, {"steps": 2.0}, {"steps": False}, {"exact": 1}, {"gain": None}], ids=str
)
def test_numbers_are_not_flags_and_fractions_not_counts(option):
    ones = torch.ones(1, 1, 4, 4)
    with pytest.raises(UserError, match=next(iter(option))):
        FusionMethod("first", first, ("vif",)).fuse(ones, ones, **option)


def test_every_source_is_checked_not_only_the_first_two():
    ones = torch.ones(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"\(1, 1, 4, 4\) and \(1, 1, 4, 5\)"):
        get_method("mean").fuse(ones, ones, torch.ones(1, 1, 4, 5))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        get_method("mean").fuse(ones, ones, 2 * ones)


def test_importing_one_method_or_metric_brings_no_other():
    code = (
        "import sys, sigforge.methods.classical.gff, sigforge.metrics.error\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('sigforge.methods.', 'sigforge.metrics.'))))\n"
        "from sigforge.methods import get_method, list_methods, load\n"
        "print(get_method('gff').function is sigforge.methods.classical.gff.fuse_gff, 'sigfusion' in list_methods('mef'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, found = done.stdout.splitlines()
    assert {name for name in loaded.split() if name.count(".") == 3} == {
        f"sigforge.methods.classical.{name}" for name in ("gff", "filters", "guided", "rules")
    }
    assert {"sigforge.metrics.error", "sigforge.metrics.registry"} <= set(loaded.split())
    assert not {"sigforge.metrics.gradient", "sigforge.metrics.phase", "sigforge.methods.loading"} & set(loaded.split())
    assert found == "True True"
