"""Who may connect, over what, and to which servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from msgspec.structs import replace

from osapi.errors import AccessRefusedError, DisconnectedError, TlsError, TransportError, UnsupportedBrokerError
from osapi_nats.native import open_connection
from osapi_nats.options import Options
from osapi_nats.server import Auth, ServerSettings, User, run_server
from tests.nats.certificates import Certificates, make_certificates
from tests.nats.connections import PATIENCE, impostor, info, options_of, record
from tests.nats.jwts import Operator, user_key

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("nats_binary")

SECRET = "hunter2"


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
    with trio.fail_after(PATIENCE), pytest.raises(kind) as error:
        async with open_connection(options):
            pytest.fail("it was let in")
    assert SECRET not in repr(error.value)
    return str(error.value)


# --- Who may connect ---------------------------------------------------------------------------------------------


async def test_user_and_password_and_token() -> None:
    users = Auth(type="user_pass", users=(User("ann", SECRET),))
    async with run_server(ServerSettings(port=0, auth=users)) as server:
        options = options_of(server)
        assert await works(replace(options, user="ann", password=SECRET))
        assert await refusal(replace(options, user="ann", password="wrong")) == (
            f"the server at 127.0.0.1:{server.port} refused our user and password (Authorization Violation): "
            "correct them in the URL"
        )
        assert "refused our lack of credentials" in await refusal(options)
    async with run_server(ServerSettings(port=0, auth=Auth(type="token", token=SECRET))) as server:
        assert await works(replace(options_of(server), token=SECRET))
        assert "refused our token" in await refusal(replace(options_of(server), token=f"{SECRET}3"))


async def test_nkey(tmp_path: Path) -> None:
    key, file = user_key(), tmp_path / "seed"
    file.write_text(f"{key.seed}\n", encoding="ascii")
    async with run_server(ServerSettings(port=0, auth=Auth(type="nkey", nkeys=(key.public,)))) as server:
        options = replace(options_of(server), nkey=str(file))
        assert await works(options)
        file.write_text(user_key().seed, encoding="ascii")
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
        for cut in ("BEGIN NATS", "BEGIN USER", "SU"):
            (tmp_path / "broken").write_text(text.replace(cut, "XX"), encoding="ascii")
            assert "broken" in await refusal(replace(options, creds=str(tmp_path / "broken")))


async def test_tls_is_verified_both_ways(certificates: Certificates, tmp_path: Path) -> None:
    cert, key = certificates.pair("client", "client.example.com")
    async with run_server(ServerSettings(port=0, tls=certificates.server(verify=True))) as server:
        options = replace(options_of(server), tls_ca=certificates.ca)
        assert await works(replace(options, tls_cert=cert, tls_key=key))
        assert "wants a certificate that it trusts" in await refusal(options, TlsError)
        strange = make_certificates(tmp_path / "strange")
        other, its_key = strange.pair("client", "client.example.com")
        refused = replace(options, tls_cert=other, tls_key=its_key)
        assert "wants a certificate that it trusts" in await refusal(refused, TlsError)
        assert "check tls_ca" in await refusal(replace(options, tls_ca=strange.ca), TlsError)
        assert "tls_key" in await refusal(replace(options, tls_cert=cert, tls_key=its_key), TlsError)


async def test_tls_checks_the_name(certificates: Certificates) -> None:
    async with run_server(ServerSettings(port=0, tls=certificates.server("nats.example.com"))) as server:
        options = replace(options_of(server), tls_ca=certificates.ca)
        assert "check tls_ca and the host's name" in await refusal(options, TlsError)


async def test_a_large_message_passes_tls(certificates: Certificates) -> None:
    async with run_server(ServerSettings(port=0, tls=certificates.server())) as server:
        async with open_connection(replace(options_of(server), tls_ca=certificates.ca)) as connection:
            assert connection.server.url == f"tls://127.0.0.1:{server.port}"
            messages = record(connection, "a")
            for _ in range(8):
                connection.publish("a", b"x" * (1 << 20))
            await connection.flush()
            assert [len(message.payload) for message in messages] == [1 << 20] * 8


async def test_credentials_are_not_sent_without_the_tls_that_was_asked_for() -> None:
    heard: list[bytes] = []
    async with impostor(info(), heard=heard) as options:
        message = await refusal(replace(options, tls=True, user="ann", password=SECRET), TlsError)
        assert "has no TLS: give it a certificate" in message
    assert heard in ([], [b""])


async def test_what_came_before_tls_is_not_believed() -> None:
    async with impostor(info(tls_required=True) + b"PONG\r\n") as options:
        assert "something else answers" in await refusal(options, DisconnectedError)


async def test_an_old_server_is_refused() -> None:
    async with impostor(info(version="2.13.9")) as options:
        assert "is nats-server 2.13.9: use 2.14 or later" in await refusal(options, UnsupportedBrokerError)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1:1", "connection refused"),
        ("no-such-host.invalid:4222", "its name cannot be resolved"),
        ("x" * 70 + ".example.com:4222", "cannot be the name of a host|its name cannot be resolved"),
    ],
)
async def test_nobody_there_is_one_clear_error(host: str, reason: str) -> None:
    with trio.fail_after(PATIENCE), pytest.raises(DisconnectedError, match=reason):
        async with open_connection(Options(servers=(host,))):
            pytest.fail("there was nothing to connect to")


@pytest.mark.parametrize("greeting", [b"220 mail.example.com ESMTP\r\n", b"INFO {\r\n", b"PING\r\n", b"x" * 100_000])
async def test_what_is_no_nats_server_is_one_clear_error(greeting: bytes) -> None:
    async with impostor(greeting) as options:
        assert "no NATS server answers at" in await refusal(options, DisconnectedError)


async def test_a_ping_in_the_handshake_is_not_taken_for_the_answer() -> None:
    async with impostor(info(), b"PING\r\n-ERR 'Authorization Violation'\r\n") as options:
        assert "refused our lack of credentials" in await refusal(options)


async def test_a_server_that_is_full_is_one_clear_error() -> None:
    async with impostor(b"-ERR 'maximum connections exceeded'\r\n") as options:
        assert "(maximum connections exceeded)" in await refusal(options, DisconnectedError)


@pytest.mark.parametrize("version", ["", "x", "2"])
async def test_a_server_without_a_version_is_refused(version: str) -> None:
    async with impostor(info(version=version)) as options:
        assert "use 2.14 or later" in await refusal(options, UnsupportedBrokerError)
