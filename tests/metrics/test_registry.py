import dataclasses

import pytest

from components.errors import UserError
from components.metrics import PAPER, get_metric, list_metrics, registry


@pytest.fixture
def empty_registry(monkeypatch):
    monkeypatch.setattr(registry, "_METRICS", {})


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


def test_the_papers_metrics_are_named_as_in_its_tables() -> None:
    assert [get_metric(name).symbol for name in PAPER] == ["Q_G", "Q_M", "Q_P", "MI", "SD", "VIF"]
    assert {get_metric(name).arrow for name in PAPER} == {"↑"}


def test_the_arrow_follows_the_direction(empty_registry) -> None:
    register("error", higher_is_better=False)
    assert registry.get_metric("error").arrow == "↓"


def test_a_name_is_given_once(empty_registry) -> None:
    register("twin")
    with pytest.raises(ValueError, match="'twin' is registered twice"):
        register("twin")


@pytest.mark.parametrize(("typo", "nearest"), [("q_gg", "q_g"), ("VIF_SUM", "vif_sum"), ("vifsum", "vif_sum")])
def test_an_unknown_name_suggests_the_nearest(typo, nearest) -> None:
    with pytest.raises(UserError, match=f"unknown metric '{typo}': did you mean '{nearest}'"):
        get_metric(typo)


def test_a_name_like_no_other_lists_them_all() -> None:
    with pytest.raises(UserError, match="choose from ag, cc"):
        get_metric("zzzzzzzz")


def test_names_are_in_natural_order(empty_registry) -> None:
    for name in ("q_10", "q_2", "ag"):
        register(name)
    assert registry.list_metrics() == ["ag", "q_2", "q_10"]


def test_an_entry_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_metric("sd").higher_is_better = False
