from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidSettingError
from osapi_nats.options import Options
from osapi_nats.urls import parse_url

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("nats://host", Options(servers=("host:4222",))),
        ("nats://host/", Options(servers=("host:4222",))),
        (
            "nats://a:1,b.example.com,[::1]:3,[fe80::2]",
            Options(servers=("a:1", "b.example.com:4222", "[::1]:3", "[fe80::2]:4222")),
        ),
        ("nats://a:04222,a", Options(servers=("a:4222",))),
        ("nats://u:p@h", Options(servers=("h:4222",), user="u", password="p")),
        ("nats://u:@h", Options(servers=("h:4222",), user="u")),
        ("nats://s3cr3t@h", Options(servers=("h:4222",), token="s3cr3t")),
        ("nats://u%3A%40:p%2F%C3%A9%25@h", Options(servers=("h:4222",), user="u:@", password="p/é%")),
        ("nats://h?token=a%26b+c", Options(servers=("h:4222",), token="a&b+c")),
        ("tls://h", Options(servers=("h:4222",), tls=True)),
        ("nats://h?tls=true", Options(servers=("h:4222",), tls=True)),
        ("nats://h?tls=false", Options(servers=("h:4222",))),
        (
            "nats://h/?namespace=prod_1-a&name=my%20agent&timeout=0.1&driver=nats-py",
            Options(servers=("h:4222",), namespace="prod_1-a", name="my agent", timeout=0.1, driver="nats-py"),
        ),
        ("nats://h/?&timeout=300&", Options(servers=("h:4222",), timeout=300.0)),
    ],
)
def test_what_a_url_says(url: str, options: Options) -> None:
    assert parse_url(url) == options


def test_files_are_named_by_their_paths(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key", "seed", "creds"):
        (tmp_path / name).touch()
    options = parse_url(f"nats://h?tls_ca={tmp_path}/ca&tls_cert={tmp_path}/cert&tls_key={tmp_path}/key")
    assert (options.tls_ca, options.tls_cert, options.tls_key) == tuple(
        f"{tmp_path}/{n}" for n in ("ca", "cert", "key")
    )
    assert options.tls
    assert parse_url(f"nats://h?nkey={tmp_path}/seed").nkey == f"{tmp_path}/seed"
    assert parse_url(f"nats://h?creds={quote(str(tmp_path), safe='')}%2Fcreds").creds == f"{tmp_path}/creds"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "does not begin with nats:// or tls://"),
        ("host:4222", "does not begin with nats:// or tls://"),
        ("http://host", "does not begin with nats:// or tls://"),
        ("nats:host", "does not begin with nats:// or tls://"),
        ("nats://", "server 1 of 1: the host is missing"),
        ("nats://:4222", "server 1 of 1: the host is missing"),
        ("nats://a,", "server 2 of 2: the host is missing"),
        ("nats://u:p@", "server 1 of 1: the host is missing"),
        ("nats://a b", "the host is neither a name nor an address"),
        ("nats://-a", "the host is neither a name nor an address"),
        ("nats://a:0", "the port is not a number of 1 to 65535"),
        ("nats://a:65536", "the port is not a number of 1 to 65535"),
        ("nats://a:b", "the port is not a number of 1 to 65535"),
        ("nats://a:", "the port is not a number of 1 to 65535"),
        ("nats://a,b:-1", "server 2 of 2: the port is not a number"),
        ("nats://::1", "has more than one colon; put an IPv6 address in brackets"),
        ("nats://[::g]", "there is no IPv6 address in the brackets"),
        ("nats://[1.2.3.4]:1", "there is no IPv6 address in the brackets"),
        ("nats://x[::1]", "there is no IPv6 address in the brackets"),
        ("nats://[fe80::1%25eth0]", "there is no IPv6 address in the brackets"),
        ("nats://[::1]4222", "a colon and a port may follow the brackets"),
        ("nats://[::1]:x", "the port is not a number"),
        ("nats://host/path", "has a path or a fragment"),
        ("nats://host#x", "has a path or a fragment"),
        ("nats://host?name=a#x", "has a path or a fragment"),
        ("nats://u:a/b@host", "has an @ after a /"),
        ("nats://u:a?b@host", "has an @ after a /"),
        ("nats://u:a#b@host", "has an @ after a /"),
        ("nats://h?token=a@b", "has an @ after a /"),
        ("nats://u:a@b@host", "has more than one @"),
        ("nats://@host", "has no user before the @"),
        ("nats://:p@host", "has no user before the @"),
        ("nats://u:a:b@host", "has more than one colon before the @"),
        ("nats://u:100%@host", "the password has a % without two hexadecimal digits"),
        ("nats://u%zz:p@host", "the user has a % without two hexadecimal digits"),
        ("nats://%FF@host", "the token is not UTF-8"),
        ("nats://h?namespac=a", "key 1 of the query is unknown; did you mean namespace?"),
        ("nats://h?name=a&q=b", "key 2 of the query is unknown; known are namespace, token"),
        ("nats://h?name=a&name=b", "the query gives name twice"),
        ("nats://h?name", "name is empty"),
        ("nats://h?tls=yes", "tls is neither true nor false"),
        ("tls://h?tls=false", "asks for TLS, with tls:// or a certificate, and against it"),
        ("nats://h?namespace=", "namespace is not a name"),
        ("nats://h?namespace=a.b", "namespace is not a name"),
        ("nats://h?namespace=" + 65 * "a", "namespace is not a name"),
        ("nats://h?namespace=%C3%A9", "namespace is not a name"),
        ("nats://h?timeout=0.09", "timeout is not a number of seconds from 0.1 to 300"),
        ("nats://h?timeout=300.1", "timeout is not a number of seconds from 0.1 to 300"),
        ("nats://h?timeout=nan", "timeout is not a number of seconds"),
        ("nats://h?timeout=1e1", "timeout is not a number of seconds"),
        ("nats://h?driver=nats", "driver is unknown; use native or nats-py"),
        ("nats://a@h?token=b", "gives two tokens"),
        ("nats://u:p@h?token=b", "gives 2 kinds of credentials: user and password, token"),
        ("nats://u:p@h?nkey=/a&creds=/b", "gives 3 kinds of credentials: user and password, nkey, creds"),
        ("nats://h?nkey=/none/such", "nkey names no file"),
        ("nats://h?creds=/", "creds names no file"),
        ("nats://h?tls_ca=%00", "tls_ca names no file"),
        ("nats://h?tls_cert=/a", "gives only one of tls_cert and tls_key"),
        ("nats://h?tls_key=/a", "gives only one of tls_cert and tls_key"),
    ],
)
def test_what_is_refused(url: str, problem: str) -> None:
    with pytest.raises(InvalidSettingError) as refusal:
        parse_url(url)
    assert problem in str(refusal.value)


def test_tls_may_not_be_denied_beside_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca").touch()
    with pytest.raises(InvalidSettingError, match="asks for TLS"):
        parse_url(f"nats://h?tls=false&tls_ca={tmp_path}/ca")


def test_options_do_not_show_their_secrets() -> None:
    options = parse_url(f"nats://user:{SECRET}@host")
    assert SECRET not in repr(options)
    assert "user='user'" in repr(options)


# --- Whatever slips: a secret may stand anywhere, raw, half encoded or cut in two by a mistake ------------------

around = st.text(st.sampled_from("aZ0:@/?#&=%+,.[] é\n"), max_size=4)
raw = st.tuples(around, st.just(SECRET), around).map("".join)
secrets = raw | raw.map(lambda text: quote(text, safe=""))
pieces = st.sampled_from(
    ["", "nats", "tls", "://", "user:", "@", "host", ":", "4222", ",", "/", "?", "#", "[::1]", "&"]
)
keys = st.sampled_from(["token=", "nkey=", "creds=", "tls_key=", "tls=", "timeout=", "driver=", "namespace=", "port="])
forms = st.sampled_from(
    [
        "nats://user:{}@host",
        "nats://{}@host:4222",
        "tls://user:{}@host:x",
        "nats://user:{}@host/path",
        "nats://user:{}@host?what=1",
        "nats://user:{}@host?token=x",
        "nats://user:{}@host?timeout=0",
        "nats://user:{}",
        "nats://host?token={}",
        "nats://user:a@host?token={}",
        "nats://host?token={}&token={}",
        "nats://host?nkey={}",
        "nats://host?creds={}&nkey={}",
        "nats:{}@host",
        "{}",
    ]
)
scraps = st.lists(pieces | keys | secrets, max_size=12).map("".join)


@given(forms | scraps, st.lists(secrets, min_size=2, max_size=2))
def test_no_error_ever_quotes_a_secret(form: str, hidden: list[str]) -> None:
    url = form.format(*hidden) if form.count("{}") else form
    try:
        parse_url(url)
    except InvalidSettingError as error:
        shown = [str(error), repr(error), str(error.value)]
        if error.__cause__ is not None:
            shown.append(repr(error.__cause__))
        assert not [text for text in shown if SECRET in text]


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_any_user_and_password_can_be_encoded(user: str, password: str) -> None:
    options = parse_url(f"nats://{quote(user, safe='')}:{quote(password, safe='')}@host")
    assert (options.user, options.password) == (user, password)
