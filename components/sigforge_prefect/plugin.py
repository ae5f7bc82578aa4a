"""Prefect plugin: a deployment's bare name will do where Prefect wants ``<flow>/<deployment>``.

Found through the entry-point group ``prefect.plugins`` and switched on in prefect.toml. It wraps a method of two
private classes of Prefect 3.8, which pyproject.toml therefore pins; what it cannot resolve, Prefect refuses itself.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from prefect.plugins import register_hook

if TYPE_CHECKING:
    from prefect.client.schemas.filters import DeploymentFilter

METHOD = "read_deployment_by_name"


@register_hook
def setup_environment(*, ctx: object) -> None:
    """Teach Prefect's clients bare names; a second call changes nothing."""
    from prefect.client.orchestration._deployments.client import DeploymentAsyncClient, DeploymentClient

    for client, wrapper in ((DeploymentAsyncClient, resolving_async), (DeploymentClient, resolving)):
        method = getattr(client, METHOD)
        if not hasattr(method, "__wrapped__"):
            setattr(client, METHOD, wrapper(method))


def resolving(original: Callable[..., Any]) -> Callable[..., Any]:
    """``original`` with a look at all deployments first when the name has no slash."""

    @wraps(original)
    def read_deployment_by_name(self: Any, name: str) -> Any:
        found = [] if "/" in name else self.read_deployments(deployment_filter=_named(name))
        return found[0] if len(found) == 1 else original(self, name)

    return read_deployment_by_name


def resolving_async(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """:func:`resolving` for the asynchronous client, which the command line uses."""

    @wraps(original)
    async def read_deployment_by_name(self: Any, name: str) -> Any:
        found = [] if "/" in name else await self.read_deployments(deployment_filter=_named(name))
        return found[0] if len(found) == 1 else await original(self, name)

    return read_deployment_by_name


def _named(name: str) -> "DeploymentFilter":
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    return DeploymentFilter(name=DeploymentFilterName(any_=[name]))
