"""Fixtures for testing programs that embed osapi: a broker, a client and a running agent, all in this process."""

# They run on pytest-trio, in tests of its `trio` mark or mode. With its `autojump_clock` the broker, the agent and the
# client live in virtual time. Every session of pytest loads this file: what a fixture needs, it imports itself.

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import osapi
    from osapi.transport import Transport
    from osapi_memory import Broker


def _trio_fixture(function: Callable[..., AsyncIterator[Any]]) -> Any:
    try:
        pytest_trio: Any = import_module("pytest_trio")
    except ModuleNotFoundError as error:
        if error.name != "pytest_trio":
            raise

        def missing() -> None:
            pytest.fail(f"{function.__name__} needs pytest-trio: pip install pytest-trio", pytrace=False)

        missing.__doc__ = function.__doc__
        return pytest.fixture(name=function.__name__)(missing)
    return pytest_trio.trio_fixture(function)


@pytest.fixture
def osapi_operations() -> osapi.Operations:
    """Return the operations of the agent and the client: none; override it in your conftest to return your own."""
    import osapi  # noqa: PLC0415

    return osapi.Operations()


@_trio_fixture
async def osapi_broker() -> AsyncIterator[Broker]:
    """Run a broker in memory for the length of the test; connect more agents and clients to it."""
    from osapi_memory import Broker  # noqa: PLC0415

    async with Broker() as broker:
        yield broker


@_trio_fixture
async def osapi_transport(osapi_broker: Broker) -> AsyncIterator[Transport]:
    """Open a connection to `osapi_broker`, the one that `osapi_client` uses."""
    async with osapi_broker.connect() as transport:
        yield transport


@_trio_fixture
async def osapi_agent(osapi_broker: Broker, osapi_operations: osapi.Operations) -> AsyncIterator[osapi.Agent]:
    """Run an agent, test-01 with the label group=test, for `osapi_operations` on a connection of its own."""
    import osapi  # noqa: PLC0415

    async with (
        osapi_broker.connect() as transport,
        osapi.Agent(transport, osapi_operations, hostname="test-01", labels={"group": "test"}) as agent,
    ):
        yield agent


@_trio_fixture
async def osapi_client(osapi_transport: Transport, osapi_operations: osapi.Operations) -> AsyncIterator[osapi.Client]:
    """Open a client on `osapi_transport` that knows `osapi_operations`; ask for `osapi_agent` too to have jobs run."""
    import osapi  # noqa: PLC0415

    async with osapi.Client(osapi_transport, osapi_operations) as client:
        yield client
