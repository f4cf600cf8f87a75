"""Who may connect to a server, who may read its files, and servers that find each other."""

from __future__ import annotations

import os
import socket
import stat

import pytest
import trio

import osapi
from osapi.transport import BrokerInfo
from osapi_nats.server import Auth, Cluster, Server, ServerSettings, User, run_server
from tests.nats.test_server_run import greeting, tell

pytestmark = pytest.mark.usefixtures("nats_binary")


# --- Who may connect ------------------------------------------------------------------------------------------


async def test_a_user_needs_the_password_whatever_is_in_it() -> None:
    password = "$PATH \"'\\ {#} é\n12"
    auth = Auth(type="user_pass", users=(User("alice", password), User("bob", "b")))
    async with run_server(ServerSettings(port=0, auth=auth)) as server:
        assert await tell(server, {"user": "alice", "pass": password}) == b"PONG\r\n"
        assert await tell(server, {"user": "bob", "pass": "b"}) == b"PONG\r\n"
        assert b"Authorization Violation" in await tell(server, {"user": "alice", "pass": "b"})


async def test_a_transport_says_where_it_is_and_not_who_it_is_there() -> None:
    auth = Auth(type="user_pass", users=(User("alice", "hunter22"),))
    async with run_server(ServerSettings(port=0, auth=auth)) as server:
        running = (await greeting(server))["version"]
        for driver in ("native", "nats-py"):
            url = f"nats://alice:hunter22@127.0.0.1:{server.port}/?driver={driver}"
            async with osapi.connect(url) as transport:
                assert transport.broker == BrokerInfo(url=f"nats://127.0.0.1:{server.port}", version=running)


async def test_a_token_lets_in() -> None:
    async with run_server(ServerSettings(port=0, auth=Auth(type="token", token="t 1"))) as server:
        assert await tell(server, {"auth_token": "t 1"}) == b"PONG\r\n"
        assert b"Authorization Violation" in await tell(server, {})


async def test_a_key_lets_in_only_who_has_it() -> None:
    key = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
    async with run_server(ServerSettings(port=0, auth=Auth(type="nkey", nkeys=(key,)))) as server:
        assert (await greeting(server))["auth_required"] is True
        assert b"Authorization Violation" in await tell(server, {})


async def test_what_may_hold_a_password_is_for_its_owner_alone(private_server: Server) -> None:
    arguments = (await trio.Path(f"/proc/{private_server.pid}/cmdline").read_bytes()).split(b"\0")
    configuration = trio.Path(os.fsdecode(arguments[2]))

    assert stat.S_IMODE((await configuration.stat()).st_mode) == 0o600
    assert stat.S_IMODE((await configuration.parent.stat()).st_mode) == 0o700
    assert stat.S_IMODE((await trio.Path(private_server.store).stat()).st_mode) == 0o700


# --- More than one --------------------------------------------------------------------------------------------


async def test_three_servers_find_each_other() -> None:
    ports = free_ports(3)
    routes = tuple(f"127.0.0.1:{port}" for port in ports)

    def member(place: int) -> ServerSettings:
        cluster = Cluster(name="trio", port=ports[place], routes=routes)
        return ServerSettings(port=0, name=f"member-{place}", cluster=cluster)

    async with run_server(member(0)) as one, run_server(member(1)) as two, run_server(member(2)) as three:
        expected = {f"127.0.0.1:{server.port}" for server in (one, two, three)}
        with trio.fail_after(20):
            # Nothing tells it but asking: the servers speak of each other when they have met.
            while set((await greeting(one)).get("connect_urls", ())) != expected:
                await trio.sleep(0.05)


def free_ports(count: int) -> list[int]:
    # All at once, so that they differ; nobody is given one again soon after.
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
