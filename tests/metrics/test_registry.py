import dataclasses
import importlib

import pytest

from sigforge.core.errors import UserError
from sigforge.metrics import PAPER, get_metric, list_metrics, registry, select_metrics


@pytest.fixture
def empty_registry(monkeypatch):
    list_metrics()
    monkeypatch.setattr(registry.METRICS, "_entries", {})


def register(name, **facts):
    def function(context): ...

    function.__name__ = name
    known = {"range": (0.0, 1.0), "convention": "c", "paper": "p", "equation": "e"}
    return registry.metric("S", **known | facts)(function)


@pytest.mark.parametrize("name", list_metrics())
def test_every_metric_states_its_facts(name) -> None:
    entry = get_metric(name)
    assert entry.name == name
    assert entry.range[0] < entry.range[1]
    assert all((entry.symbol, entry.convention, entry.paper, entry.equation, entry.function.__doc__))
    assert "\n" not in entry.convention + entry.paper + entry.equation


@pytest.mark.parametrize("name", list_metrics())
def test_the_family_is_the_module_that_holds_the_metric(name) -> None:
    entry = get_metric(name)
    module = importlib.import_module(f"sigforge.metrics.{entry.family}")
    assert getattr(module, name) is entry.function


def test_variants_of_one_symbol_differ_in_convention() -> None:
    entries = [get_metric(name) for name in list_metrics()]
    assert len({(entry.symbol, entry.convention) for entry in entries}) == len(entries)


def test_what_the_issue_asks_for_is_there() -> None:
    asked = """q_g qabf q_m q_p mi mi_nats q_mi q_te q_ncie sd en sf ag ei cc scd vif vif_sum viff
    ssim_sum ssim_mean ms_ssim mef_ssim psnr psnr_vifb mse nabf fmi fmi_gradient fmi_wavelet fmi_dct
    q_cb q_cv q_y q_s q_w q_e q_c psnr_ref ssim_ref"""
    assert set(asked.split()) <= set(list_metrics())


def test_words_stand_for_sets_of_metrics() -> None:
    assert [entry.name for entry in select_metrics("en, paper, sd")] == ["en", *PAPER]
    everything = {entry.name for entry in select_metrics("all")}
    assert set(list_metrics()) - everything == {"mse_ref", "psnr_ref", "ssim_ref"}
    assert {entry.name for entry in select_metrics("all", reference=True)} == set(list_metrics())


def test_metrics_of_pairs_are_left_out_of_all_and_refused_by_name() -> None:
    left_out = set(list_metrics()) - {entry.name for entry in select_metrics("all", sources=3, reference=True)}
    assert left_out == {"scd", "q_y", "q_c", "q_c_clipped", "q_te", "q_te_nava"}
    with pytest.raises(UserError, match="'scd' is defined for two sources, not 3"):
        select_metrics(["sd", "scd"], sources=3)


def test_a_metric_without_its_reference_is_refused() -> None:
    with pytest.raises(UserError, match="'psnr_ref' compares with a ground-truth image"):
        select_metrics("psnr_ref")


def test_the_papers_metrics_are_named_as_in_its_tables() -> None:
    assert [get_metric(name).symbol for name in PAPER] == ["Q_G", "Q_M", "Q_P", "MI", "SD", "VIF"]
    assert {get_metric(name).arrow for name in PAPER} == {"↑"}


def test_the_arrow_follows_the_direction(empty_registry) -> None:
    register("error", higher_is_better=False)
    assert registry.get_metric("error").arrow == "↓"


def test_zero_is_best_for_the_error_of_spatial_frequency() -> None:
    entry = get_metric("q_sf")
    assert (entry.target, entry.arrow, entry.latex_arrow) == (0.0, "→0", r"$\to 0$")
    assert entry.compared(-0.2) == entry.compared(0.2) == 0.2 and not entry.higher_is_better
    assert get_metric("sd").compared(-0.2) == -0.2


def test_variants_name_a_metric_that_is_none_itself() -> None:
    entries = [get_metric(name) for name in list_metrics()]
    families = {entry.variant_of for entry in entries if entry.variant_of}
    assert families <= set(list_metrics()) and not any(get_metric(name).variant_of for name in families)
    assert not {get_metric(name).variant_of for name in PAPER} - {None}
    # One symbol printed without a reference is one metric, whatever the convention.
    for entry in (entry for entry in entries if not entry.needs_reference):
        alike = {other.variant_of or other.name for other in entries if other.symbol == entry.symbol}
        assert len(alike - {"psnr_ref", "ssim_ref"}) == 1, entry.symbol


def test_a_name_is_given_once(empty_registry) -> None:
    register("twin")
    with pytest.raises(ValueError, match=r"metric 'twin' is already defined by .*test_registry"):
        register("twin")


@pytest.mark.parametrize(("typo", "nearest"), [("q_gg", "q_g"), ("VIF_SUM", "vif_sum"), ("vifsum", "vif_sum")])
def test_an_unknown_name_suggests_the_nearest(typo, nearest) -> None:
    with pytest.raises(UserError, match=f"unknown metric '{typo}': did you mean '{nearest}'"):
        get_metric(typo)


def test_a_name_like_no_other_lists_them_all() -> None:
    with pytest.raises(UserError, match="choose from ag, ag_cddfuse, balance, cc, "):
        get_metric("zzzzzzzz")


def test_names_are_in_natural_order(empty_registry) -> None:
    for name in ("q_10", "q_2", "ag"):
        register(name)
    assert registry.list_metrics() == ["ag", "q_2", "q_10"]


def test_an_entry_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_metric("sd").higher_is_better = False
