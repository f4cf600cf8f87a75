"""The way into the block: one connection, one clear error, or nothing left behind."""

from __future__ import annotations

import pytest
import trio
from msgspec.structs import replace

from osapi.errors import DisconnectedError
from osapi_nats.nats_py import open_connection
from osapi_nats.urls import parse_url
from tests.nats.connections import impostor, info, no_thread_is_left


async def test_nobody_there_is_one_clear_error() -> None:
    with pytest.raises(
        DisconnectedError,
        match=r"no NATS server answers at 127\.0\.0\.1:1 \(connection refused\): check that it runs there",
    ):
        async with open_connection(parse_url("nats://user:hunter2@127.0.0.1:1")):
            pass
    assert no_thread_is_left()


async def test_nobody_anywhere_names_each_server() -> None:
    with pytest.raises(
        DisconnectedError, match=r"at 127\.0\.0\.1:[12] .*; no NATS server answers at 127\.0\.0\.1:[12] "
    ):
        async with open_connection(parse_url("nats://127.0.0.1:1,127.0.0.1:2")):
            pass


async def test_one_of_several_is_enough(nats_server: str) -> None:
    async with open_connection(parse_url(nats_server + ",127.0.0.1:1,127.0.0.1:2")) as connection:
        assert connection.server.url == nats_server


async def test_an_unknown_name_is_one_clear_error() -> None:
    with trio.fail_after(30), pytest.raises(DisconnectedError, match=r"at no-such-host\.invalid:4222 \("):
        async with open_connection(parse_url("nats://no-such-host.invalid")):
            pass


async def test_a_silent_server_is_waited_for_so_long() -> None:
    async with impostor(None) as options:
        with trio.fail_after(10), pytest.raises(DisconnectedError, match=r"\(no answer within 0\.5 s\)"):
            async with open_connection(options):
                pass
    assert no_thread_is_left()


async def test_a_server_that_falls_silent_is_waited_for_so_long() -> None:
    async with impostor(info(), b"PONG\r\n") as options:
        with trio.fail_after(10), pytest.raises(DisconnectedError, match=r"no answer within 0\.5 s"):
            async with open_connection(options):
                pass
    assert no_thread_is_left()


@pytest.mark.parametrize("greeting", [b"220 mail.example.com ESMTP\r\n", b"INFO {\r\n", b"\r\n", b"x" * 100_000])
async def test_what_is_no_nats_server_is_one_clear_error(greeting: bytes) -> None:
    async with impostor(greeting) as options:
        with trio.fail_after(10), pytest.raises(DisconnectedError, match="no NATS server answers at"):
            async with open_connection(options):
                pass


async def test_cancelled_on_the_way_in_it_leaves_nothing() -> None:
    async with impostor(None) as options:
        with trio.fail_after(10):
            with trio.move_on_after(0.1) as scope:
                async with open_connection(replace(options, timeout=300)):
                    pytest.fail("there was nothing to connect to")
    assert scope.cancelled_caught
    assert no_thread_is_left()


async def test_cancelled_before_it_began_it_leaves_nothing(nats_server: str) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        async with open_connection(parse_url(nats_server)):
            pytest.fail("it was cancelled")
    assert no_thread_is_left()
