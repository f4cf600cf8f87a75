"""What `osapi client` says when the server refuses, is away, or is another one; and with which status."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.cli.program import osapi
from tests.cli.serving import PROBLEM, answer, answering

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Client

URL = "OSAPI_CONTROLLER_CLIENT_URL"
TOKEN = "OSAPI_CONTROLLER_CLIENT_SECURITY_BEARER_TOKEN"
COMMAND = ("node", "hostname", "-T", "web-01")


def check(client: Client, status: int, told: str) -> None:
    ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err) == (status, "", f"osapi: {told}\n")


def unused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_is_not_there(client: Client) -> None:
    url = unused()
    client.environment.setenv(URL, url)

    check(
        client,
        69,
        f"the server at {url} refused the connection: is `osapi controller start`, or `osapi start`, running?",
    )


@pytest.mark.parametrize(
    "command",
    [
        ("node", "uptime", "-T"),
        ("node", "command", "exec", "--command", "echo", "--arg"),
        ("job", "watch", "--job-id"),
        ("run",),
    ],
)
def test_what_is_no_text_is_a_mistake_of_the_command_line(client: Client, command: tuple[str, ...]) -> None:
    ended = client(*command, "web\udcff")

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "osapi: 'web\\udcff' is not in UTF-8; write it so\n"


def test_what_only_reads_does_nothing_though_it_is_not_answered(client: Client) -> None:
    with answering(b"") as (url, _):
        client.environment.setenv(URL, url)
        ended = client("agent", "list")

    assert ended.err == f"osapi: the server at {url} broke the connection, or speaks no HTTP\n"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:port", "http://127.0.0.1:65536", "http://[::1", "http://:8080", f"http://{'a' * 64}.test"]
)
def test_what_is_no_url_of_a_server(client: Client, url: str) -> None:
    client.environment.setenv(URL, url)

    told = f"${URL}: controller.client.url: is {url!r}; write http://host:port, or https:// and so on"
    check(client, 78, told)


def test_a_name_that_is_nobodys(client: Client) -> None:
    client.environment.setenv(URL, "http://osapi.invalid:1")
    ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err.count("\n")) == (69, "", 1)
    assert ended.err.startswith("osapi: the server at http://osapi.invalid:1 cannot be reached: ")
    assert ended.err.endswith(f"; check ${URL}\n")


def test_a_server_without_tls(client: Client) -> None:
    url = client.service.url.replace("http:", "https:")
    client.environment.setenv(URL, url)

    check(client, 69, f"the server at {url} does not speak TLS there; check ${URL}")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", "broke the connection, or speaks no HTTP; what was asked of it may be done all the same"),
        (b"SSH-2.0-x\r\n", "broke the connection, or speaks no HTTP; what was asked of it may be done all the same"),
        (
            answer(200, b"[]")[:30],
            "broke the connection, or speaks no HTTP; what was asked of it may be done all the same",
        ),
    ],
)
def test_what_speaks_no_http(client: Client, sent: bytes, told: str) -> None:
    with answering(sent) as (url, _):
        client.environment.setenv(URL, url)
        check(client, 69, f"the server at {url} {told}")


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (answer(200, b"<p>", "text/html"), "status 200, 'text/html'"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "status 302, 'no type'"),
        (answer(404, b"", "text/plain"), "status 404, 'text/plain'"),
        (answer(502, b"{", PROBLEM), "status 502, 'application/problem+json'"),
        (answer(200, b"{]}"), "status 200, 'application/json'"),
    ],
)
def test_what_is_another_server(client: Client, sent: bytes, found: str) -> None:
    with answering(sent) as (url, _):
        client.environment.setenv(URL, url)
        check(client, 69, f"what answers at {url} is not the osapi API ({found}); check ${URL}")


def test_an_answer_of_another_version(client: Client) -> None:
    with answering(answer(200, b"[]")) as (url, _):
        client.environment.setenv(URL, url)
        ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith("osapi: the server's answer cannot be understood: ")


def test_an_older_server(client: Client) -> None:
    body = b'{"status": 404, "error": "there is nothing at this path"}'
    with answering(answer(404, body, PROBLEM)) as (url, _):
        client.environment.setenv(URL, url)
        told = f"the server at {url} does not offer GET /api/node/web-01/hostname; it may be older than this program"
        check(client, 1, told)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble(client: Client, status: int) -> None:
    body = b'{"error": "the broker cannot be reached"}'
    with answering(answer(status, body, PROBLEM)) as (url, _):
        client.environment.setenv(URL, url)
        check(client, 69, f"the server at {url}: the broker cannot be reached")


def test_a_certificate_is_checked(client: Client, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType]
    with answering(answer(200, b'{"status": "ok"}'), tls=tls) as (url, asked):
        client.environment.setenv(URL, url)
        refused = client("health", "liveness")
        assert asked == []
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        client.environment.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert client("health", "liveness") == (0, "ok\n", "")

    assert (refused.status, refused.out, refused.err.count("\n")) == (69, "", 1)
    assert refused.err.startswith(f"osapi: the server at {url} cannot be trusted: ")
    assert refused.err.endswith("; $SSL_CERT_FILE may name the authority's certificate\n")


def test_no_token(client: Client) -> None:
    client.environment.delenv(TOKEN)
    told = (
        f"the server at {client.service.url} wants a token, and none is configured: `osapi token generate` makes one; "
        f"set controller.client.security.bearer_token, or ${TOKEN}"
    )

    check(client, 77, told)


def test_a_wrong_token(client: Client) -> None:
    client.environment.setenv(TOKEN, "not.a.token")
    ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err.count("\n")) == (77, "", 1)
    assert ended.err.startswith(f"osapi: the server at {client.service.url} does not accept the token of ${TOKEN}: ")


def test_a_token_that_no_header_can_hold(client: Client) -> None:
    client.environment.setenv(TOKEN, "two\nlines ä")
    ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err.count("\n")) == (78, "", 1)
    assert "lines" not in ended.err
    assert "bearer_token" in ended.err


def test_a_token_that_does_not_allow_it(client: Client) -> None:
    client.use_token("nobody")

    check(client, 77, "this needs the permission node:read, which the token does not give")


def test_a_bad_configuration(client: Client) -> None:
    client.environment.setenv(URL, "ftp://nowhere")
    ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err.count("\n")) == (78, "", 1)


def test_proxies_are_not_asked_for_this_machine(client: Client) -> None:
    client.environment.setenv("HTTP_PROXY", unused())
    client.environment.setenv("ALL_PROXY", unused())

    assert client(*COMMAND).status == 0


def test_a_proxy_is_asked_for_other_machines(client: Client) -> None:
    far = b'{"job_id": "x", "results": [{"hostname": "far", "status": "ok"}]}'
    with answering(answer(200, far)) as (proxy, _):
        client.environment.setenv("HTTP_PROXY", proxy)
        client.environment.setenv(URL, "http://192.0.2.1:8080")
        ended = client(*COMMAND)

    assert ended.status == 0
    assert "far" in ended.out


def test_a_proxy_that_is_none(client: Client) -> None:
    client.environment.setenv("HTTP_PROXY", "gopher://x")
    client.environment.setenv(URL, "http://192.0.2.1:8080")
    ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err.count("\n")) == (78, "", 1)


def test_as_a_process(client: Client) -> None:
    ended = osapi("client", *COMMAND, **client.service.environment())

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith("1 host: 1 ok, 0 failed, 0 skipped\n")


# --- What `osapi start` has left ----------------------------------------------------------------------------------


def left(folder: Path, name: str, content: str, mode: int = 0o600) -> Path:
    """Write a file of the state folder."""
    file = folder / "osapi" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return file


def test_without_a_configuration_the_server_of_this_user_is_asked(client: Client, tmp_path: Path) -> None:
    left(tmp_path, "url", f"{client.service.url}\n")
    left(tmp_path, "token", f"{client.service.token}\n")
    client.environment.delenv(URL)
    client.environment.delenv(TOKEN)

    assert client(*COMMAND).status == 0


def test_its_token_does_not_go_to_another_server(client: Client, tmp_path: Path) -> None:
    left(tmp_path, "token", client.service.token)
    client.environment.delenv(TOKEN)

    assert client(*COMMAND).status == 77


def test_a_token_that_others_may_read_is_not_used(client: Client, tmp_path: Path) -> None:
    left(tmp_path, "url", client.service.url)
    file = left(tmp_path, "token", client.service.token, 0o644)
    client.environment.delenv(URL)
    client.environment.delenv(TOKEN)
    ended = client(*COMMAND)

    assert (ended.status, ended.out, ended.err.count("\n")) == (78, "", 1)
    assert ended.err.startswith(f"osapi: {file}: has mode 0644, so that others may use it; ")


def test_a_server_of_this_user_that_was_killed(client: Client, tmp_path: Path) -> None:
    url = unused()
    left(tmp_path, "url", url)
    client.environment.delenv(URL)

    told = f"`osapi start`, which wrote that into {tmp_path / 'osapi' / 'url'}, does not run any more"
    check(client, 69, f"the server at {url} refused the connection: {told}")
