"""Who may connect, over what, to which servers: each kind of credentials, TLS, and versions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

from osapi.errors import AccessRefusedError, TlsError, TransportError, UnsupportedBrokerError
from osapi_nats.nats_py import open_connection
from osapi_nats.server import Auth, Server, ServerSettings, User, run_server
from tests.nats.certificates import Certificates, make_certificates
from tests.nats.connections import (
    impostor,
    info,
    no_thread_is_left,
    options_of,
    record,
    record_states,
    until,
)
from tests.nats.jwts import Operator, user_key

if TYPE_CHECKING:
    from pathlib import Path

    from osapi_nats.options import Options

pytestmark = pytest.mark.usefixtures("nats_binary")

SECRET = "hunter2"
PASSWORD = Auth(type="user_pass", users=(User("ann", SECRET),))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path / "certificates")


async def works(options: Options) -> bool:
    async with open_connection(options) as connection:
        messages = record(connection, "a")
        connection.publish("a", b"")
        await connection.flush()
        return len(messages) == 1


async def refusal(options: Options, kind: type[TransportError] = AccessRefusedError) -> str:
    with trio.fail_after(10), pytest.raises(kind) as error:
        async with open_connection(options):
            pytest.fail("it was let in")
    assert no_thread_is_left()
    assert SECRET not in repr(error.value)
    return str(error.value)


# --- Credentials -------------------------------------------------------------------------------------------------


async def test_user_and_password() -> None:
    async with run_server(ServerSettings(port=0, auth=PASSWORD)) as server:
        options = options_of(server)
        assert await works(replace(options, user="ann", password=SECRET))
        assert await refusal(replace(options, user="ann", password="wrong")) == (
            f"the server at 127.0.0.1:{server.port} refused our user and password (Authorization Violation): "
            "correct them in the URL"
        )
        assert "refused our user and password" in await refusal(replace(options, user="bob", password=SECRET))
        assert "refused our token" in await refusal(replace(options, token=SECRET))
        assert "refused our lack of credentials" in await refusal(options)


async def test_token() -> None:
    async with run_server(ServerSettings(port=0, auth=Auth(type="token", token=SECRET))) as server:
        assert await works(replace(options_of(server), token=SECRET))
        assert "refused our token" in await refusal(replace(options_of(server), token=f"{SECRET}3"))


async def test_nkey(tmp_path: Path) -> None:
    key, other = user_key(), user_key()
    file = tmp_path / "seed"
    file.write_text(f"{key.seed}\n", encoding="ascii")
    async with run_server(ServerSettings(port=0, auth=Auth(type="nkey", nkeys=(key.public,)))) as server:
        options = replace(options_of(server), nkey=str(file))
        assert await works(options)
        file.write_text(other.seed, encoding="ascii")
        assert "refused our nkey" in await refusal(options)
        for wrong in (key.public, "SUA", f"S{SECRET}", "é"):
            file.write_text(wrong, encoding="utf-8")
            assert str(file) in await refusal(options)
        file.unlink()
        assert "cannot be read (No such file or directory)" in await refusal(options)


async def test_creds(tmp_path: Path) -> None:
    operator = Operator()
    async with run_server(ServerSettings(port=0, options=operator.options)) as server:
        options = replace(options_of(server), creds=operator.write_creds(tmp_path / "creds"))
        assert await works(options)
        stranger = replace(options, creds=Operator().write_creds(tmp_path / "stranger"))
        assert "refused our creds" in await refusal(stranger)
        text = (tmp_path / "creds").read_text(encoding="ascii")
        (tmp_path / "windows").write_bytes(text.replace("\n", "\r\n").encode())
        assert await works(replace(options, creds=str(tmp_path / "windows")))
        for cut in ("BEGIN NATS", "BEGIN USER", "SU"):
            broken = tmp_path / "broken"
            broken.write_text(text.replace(cut, "XX"), encoding="ascii")
            assert str(broken) in await refusal(replace(options, creds=str(broken)))


async def test_what_a_user_may_not_do_is_logged_and_no_break(caplog: pytest.LogCaptureFixture) -> None:
    bob = {"user": "bob", "password": SECRET, "permissions": {"publish": {"deny": ["secret.>"]}}}
    async with run_server(ServerSettings(port=0, options={"authorization": {"users": [bob]}})) as server:
        async with open_connection(replace(options_of(server), user="bob", password=SECRET)) as connection:
            states = record_states(connection)
            connection.publish("secret.a", b"")
            await connection.flush()
            await until(lambda: caplog.records)
            await connection.flush()
            assert states == []
    assert 'permissions violation for publish to "secret.a"' in caplog.text
    assert {record.name for record in caplog.records} == {"osapi.nats"}


async def test_credentials_refused_later_are_tried_on_and_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    settings = ServerSettings(port=0, auth=PASSWORD)
    async with trio.open_nursery() as nursery:
        first = await nursery.start(_serve, settings)
        settings = replace(settings, port=first.server.port)
        options = replace(options_of(first.server), user="ann", password=SECRET)
        async with open_connection(options) as connection:
            states = record_states(connection)
            for outages in (1, 2):
                await first.stop()
                await until(lambda: not connection.is_up)
                rotated = Auth(type="user_pass", users=(User("ann", "new"),))
                other = await nursery.start(_serve, replace(settings, auth=rotated))
                await until(lambda: len(_warnings(caplog)) == outages)  # noqa: B023 - awaited within the round
                await trio.sleep(0.5)
                assert not connection.is_up
                await other.stop()
                first = await nursery.start(_serve, settings)
                await until(lambda: connection.is_up)
            assert states == [False, True] * 2
        await first.stop()
    assert len(_warnings(caplog)) == 2
    assert "refused our user and password" in _warnings(caplog)[0]
    assert SECRET not in caplog.text


class _Running:
    def __init__(self, server: Server) -> None:
        self.server = server
        self._stop = trio.Event()
        self._stopped = trio.Event()

    async def until_stopped(self) -> None:
        await self._stop.wait()

    def has_stopped(self) -> None:
        self._stopped.set()

    async def stop(self) -> None:
        self._stop.set()
        await self._stopped.wait()


async def _serve(settings: ServerSettings, *, task_status: trio.TaskStatus[_Running]) -> None:
    async with run_server(settings) as server:
        running = _Running(server)
        task_status.started(running)
        await running.until_stopped()
    running.has_stopped()


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# --- TLS ---------------------------------------------------------------------------------------------------------


async def test_tls_with_an_authority_of_ones_own(certificates: Certificates) -> None:
    async with run_server(ServerSettings(port=0, tls=certificates.server())) as server:
        options = replace(options_of(server), tls_ca=certificates.ca)
        assert await works(options)
        async with open_connection(options) as connection:
            assert connection.server.url == f"tls://127.0.0.1:{server.port}"
            states = record_states(connection)
            await server.restart()
            await until(lambda: states == [False, True])


async def test_tls_and_a_client_certificate(certificates: Certificates, tmp_path: Path) -> None:
    cert, key = certificates.pair("client", "client.example.com")
    async with run_server(ServerSettings(port=0, tls=certificates.server(verify=True))) as server:
        options = replace(options_of(server), tls_ca=certificates.ca)
        assert await works(replace(options, tls_cert=cert, tls_key=key))
        assert "wants a certificate that it trusts" in await refusal(options, TlsError)
        other, its_key = make_certificates(tmp_path / "strange").pair("client", "client.example.com")
        strange = replace(options, tls_cert=other, tls_key=its_key)
        assert "wants a certificate that it trusts" in await refusal(strange, TlsError)


async def test_tls_and_a_password(certificates: Certificates) -> None:
    async with run_server(ServerSettings(port=0, tls=certificates.server(), auth=PASSWORD)) as server:
        options = replace(options_of(server), tls_ca=certificates.ca, user="ann")
        assert await works(replace(options, password=SECRET))
        assert "refused our user" in await refusal(replace(options, password="wrong"))


async def test_a_stranger_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    strange = make_certificates(tmp_path / "strange")
    async with run_server(ServerSettings(port=0, tls=certificates.server())) as server:
        options = options_of(server)
        for untrusting in (options, replace(options, tls=True), replace(options, tls_ca=strange.ca)):
            text = await refusal(untrusting, TlsError)
            assert f"no trusted connection to 127.0.0.1:{server.port} (unable to get local issuer certificate)" in text


async def test_a_certificate_of_another_name_is_not_trusted(certificates: Certificates) -> None:
    async with run_server(ServerSettings(port=0, tls=certificates.server("other.example.com"))) as server:
        text = await refusal(replace(options_of(server), tls_ca=certificates.ca), TlsError)
        assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in text


async def test_tls_where_it_is_optional(certificates: Certificates) -> None:
    settings = ServerSettings(port=0, tls=certificates.server(), options={"allow_non_tls": True})
    async with run_server(settings) as server:
        async with open_connection(replace(options_of(server), tls_ca=certificates.ca)) as connection:
            assert connection.server.url.startswith("tls://")
        async with open_connection(options_of(server)) as connection:
            assert connection.server.url.startswith("nats://")


async def test_without_tls_no_password_is_sent_to_a_server_that_should_have_it() -> None:
    heard: list[bytes] = []
    async with impostor(info(auth_required=True), heard=heard) as options:
        text = await refusal(replace(options, tls=True, user="ann", password=SECRET), TlsError)
        assert "has no TLS" in text
    assert heard == [b""]


@pytest.mark.parametrize("wrong", ["tls_ca", "tls_cert", "tls_key"])
async def test_files_that_hold_something_else_are_named(certificates: Certificates, tmp_path: Path, wrong: str) -> None:
    cert, key = certificates.pair("client", "client.example.com")
    (tmp_path / "wrong").write_text(SECRET, encoding="ascii")
    async with run_server(ServerSettings(port=0, tls=certificates.server())) as server:
        options = replace(options_of(server), tls_ca=certificates.ca, tls_cert=cert, tls_key=key)
        text = await refusal(replace(options, **{wrong: str(tmp_path / "wrong")}), TlsError)
    assert str(tmp_path / "wrong") in text


# --- Versions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "named"),
    [("2.13.9", "2.13.9"), ("2.9.10", "2.9.10"), ("1.99", "1.99"), ("", "of no version"), ("new", "new")],
)
async def test_an_old_server_is_refused(version: str, named: str) -> None:
    async with impostor(info(version=version), b"PONG\r\n") as options:
        text = await refusal(options, UnsupportedBrokerError)
    assert text == f"the server at {options.servers[0]} is nats-server {named}: use 2.14 or later"


@pytest.mark.parametrize("version", ["2.14.0", "2.14.0-RC.1", "3.0.0", "10.2"])
async def test_a_new_server_is_taken(version: str) -> None:
    async with impostor(info(version=version), b"PONG\r\n", is_alive=True) as options:
        async with open_connection(options) as connection:
            assert connection.server.version == version


async def test_a_new_server_beside_an_old_one_is_taken(nats_server: str) -> None:
    real = nats_server.removeprefix("nats://")
    async with impostor(info(version="2.9.10"), b"PONG\r\n") as options:
        for _ in range(5):
            async with open_connection(replace(options, servers=(real, *options.servers), timeout=5)) as connection:
                assert connection.server.url == nats_server
