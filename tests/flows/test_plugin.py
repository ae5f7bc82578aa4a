"""Bare deployment names, by the wrapper alone and through Prefect's real clients."""

import asyncio

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.orchestration._deployments.client import DeploymentAsyncClient, DeploymentClient
from prefect.exceptions import ObjectNotFound

from sigforge_prefect.plugin import METHOD, resolving, resolving_async, setup_environment


class Client:
    """Finds as many deployments as it is told to, and says whom it was asked."""

    def __init__(self, count):
        self.found, self.asked = [f"found {number}" for number in range(count)], []

    def read_deployments(self, *, deployment_filter):
        self.asked.append(deployment_filter.name.any_)
        return self.found


class AsyncClient(Client):
    async def read_deployments(self, *, deployment_filter):
        return super().read_deployments(deployment_filter=deployment_filter)


def resolve(count, name, asynchronous):
    if not asynchronous:
        client = Client(count)
        return resolving(lambda self, name: f"Prefect's {name}")(client, name), client.asked

    async def original(self, name):
        return f"Prefect's {name}"

    client = AsyncClient(count)
    return asyncio.run(resolving_async(original)(client, name)), client.asked


@pytest.mark.parametrize("asynchronous", [False, True])
def test_only_one_match_of_a_bare_name_is_taken(asynchronous):
    assert resolve(1, "synth-vif", asynchronous) == ("found 0", [["synth-vif"]])
    assert resolve(0, "synth-vif", asynchronous) == ("Prefect's synth-vif", [["synth-vif"]])
    assert resolve(2, "synth-vif", asynchronous) == ("Prefect's synth-vif", [["synth-vif"]])
    assert resolve(1, "synth/synth-vif", asynchronous) == ("Prefect's synth/synth-vif", [])


def test_second_setup_wraps_nothing_twice():
    setup_environment(ctx=None)
    before = [getattr(client, METHOD) for client in (DeploymentAsyncClient, DeploymentClient)]
    setup_environment(ctx=None)
    assert [getattr(client, METHOD) for client in (DeploymentAsyncClient, DeploymentClient)] == before
    assert all(not hasattr(method.__wrapped__, "__wrapped__") for method in before)


@pytest.fixture(scope="module")
def deployed(server):
    """Two flows with one deployment name in common."""
    setup_environment(ctx=None)
    first, second = flow(_nothing, name="first"), flow(_nothing, name="second")
    return {
        "only": first.to_deployment("only-here").apply(),
        "first": first.to_deployment("both").apply(),
        "second": second.to_deployment("both").apply(),
    }


def _nothing():
    pass


def test_real_client_resolves_one_and_leaves_the_rest_to_prefect(server, deployed):
    assert server.read_deployment_by_name("only-here").id == deployed["only"]
    assert server.read_deployment_by_name("second/both").id == deployed["second"]
    for name in ("both", "unknown"):
        with pytest.raises(ValueError, match="Expected format: <FLOW_NAME>/<DEPLOYMENT_NAME>"):
            server.read_deployment_by_name(name)
    with pytest.raises(ObjectNotFound):
        server.read_deployment_by_name("first/unknown")


def test_real_asynchronous_client_resolves_too(deployed):
    async def read(name):
        async with get_client() as client:
            return (await client.read_deployment_by_name(name)).id

    assert asyncio.run(read("only-here")) == deployed["only"]
    with pytest.raises(ValueError, match="Expected format"):
        asyncio.run(read("both"))
