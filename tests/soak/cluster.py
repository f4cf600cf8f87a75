"""Three servers on this machine that are one cluster, and who leads what in it."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from osapi_nats.server import Cluster, Server, ServerSettings, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

NAMES: tuple[str, ...] = ("n1", "n2", "n3")

# What a cluster may take to elect its leaders, on a busy machine.
_ELECTED = 60.0


class Nodes:
    """The servers of a cluster by name."""

    def __init__(self, servers: dict[str, Server], monitors: dict[str, int]) -> None:
        self.servers = servers
        self._monitors = monitors

    @property
    def url(self) -> str:
        """Return a URL that names all of them."""
        return "nats://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers.values())

    async def leader(self, stream: str = "", consumer: str = "") -> str:
        """Return who leads a stream, or a consumer of it, or without either the whole cluster, once somebody does."""
        with trio.fail_after(_ELECTED):
            while True:
                for port in self._monitors.values():
                    found = _leader(await _get(port, "/jsz?consumers=1"), stream, consumer)
                    if found in self.servers:
                        return found
                await trio.sleep(0.05)

    async def elect(self) -> None:
        """Wait until all streams and consumers of the servers that live are led by one of these."""
        with trio.fail_after(_ELECTED):
            while True:
                told = {name: await _get(port, "/jsz?consumers=1") for name, port in self._monitors.items()}
                living = {name for name, found in told.items() if found}
                if living and all(_leaders(found) <= living for found in told.values()):
                    return
                await trio.sleep(0.05)

    async def settle(self) -> None:
        """Wait until every server has caught up with the others, so that the next one may go."""
        with trio.fail_after(_ELECTED):
            for port in self._monitors.values():
                while (await _get(port, "/healthz")).get("status") != "ok":
                    await trio.sleep(0.05)


def _leader(told: dict[str, Any], stream: str, consumer: str) -> str:
    if not stream:
        return str(told.get("meta_cluster", {}).get("leader", ""))
    if consumer:
        groups = [one for one in _consumers(told) if (one["stream_name"], one["name"]) == (stream, consumer)]
    else:
        groups = [one for one in _streams(told) if one["name"] == stream]
    return str(groups[0].get("cluster", {}).get("leader", "")) if groups else ""


def _leaders(told: dict[str, Any]) -> set[str]:
    groups = (*_streams(told), *_consumers(told))
    leaders = (str(group.get("cluster", {}).get("leader", "")) for group in groups)
    return {_leader(told, "", ""), *leaders} if told else set()


def _streams(told: dict[str, Any]) -> list[dict[str, Any]]:
    accounts = told.get("account_details") or ()
    return [stream for account in accounts for stream in account.get("stream_detail") or ()]


def _consumers(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [consumer for stream in _streams(told) for consumer in stream.get("consumer_detail") or ()]


async def _get(port: int, path: str) -> dict[str, Any]:
    """Return what a server's monitor tells, nothing while it is down."""
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join([part async for part in stream])
    except (OSError, trio.BrokenResourceError):
        return {}
    body = answer.partition(b"\r\n\r\n")[2]
    return msgspec.json.decode(body, type=dict[str, Any]) if body else {}


@asynccontextmanager
async def run_cluster() -> AsyncGenerator[Nodes]:
    """Run the servers for a block; it begins when they have a leader."""
    ports = _free_ports(3 * len(NAMES))
    routes = dict(zip(NAMES, ports[:3], strict=True))
    monitors = dict(zip(NAMES, ports[3:6], strict=True))
    async with AsyncExitStack() as stack:
        servers: dict[str, Server] = {}
        for name, port in zip(NAMES, ports[6:], strict=True):
            others = tuple(f"127.0.0.1:{routes[other]}" for other in NAMES if other != name)
            settings = ServerSettings(
                port=port,
                name=name,
                max_memory=1 << 30,
                max_file=4 << 30,
                cluster=Cluster(name="soak", port=routes[name], routes=others),
                options={"http": f"127.0.0.1:{monitors[name]}"},
            )
            servers[name] = await stack.enter_async_context(run_server(settings))
        nodes = Nodes(servers, monitors)
        await nodes.leader()
        await nodes.settle()
        yield nodes


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
