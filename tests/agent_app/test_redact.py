from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_agent.redact import HIDDEN, redact


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--password=hunter2"], ["--password=***"]),
        (["--password", "hunter2", "-v"], ["--password", "***", "-v"]),
        (["--db-password", "-hunter2"], ["--db-password", "***"]),
        (["-token", "hunter2"], ["-token", "***"]),
        (["--api-key=hunter2", "--apikey", "hunter2"], ["--api-key=***", "--apikey", "***"]),
        (["API_KEY=hunter2", "PGPASSWORD=hunter2"], ["API_KEY=***", "PGPASSWORD=***"]),
        (["--pass", "hunter2", "--auth=hunter2"], ["--pass", "***", "--auth=***"]),
        (["postgres://me:hunter2@db/x"], ["postgres://me:***@db/x"]),
        (["-H", "Authorization: Bearer hunter2"], ["-H", "Authorization: ***"]),
        (["sh", "-c", "mysql --password=hunter2 -e x"], ["sh", "-c", "mysql --password=*** -e x"]),
        (["sh", "-c", "x --token 'hun ter2' y"], ["sh", "-c", "x --token *** y"]),
        (["sh", "-c", "SECRET=hunter2 run"], ["sh", "-c", "SECRET=*** run"]),
        (['{"password": "hunter2"}'], ['{"password": ***}']),
    ],
)
def test_secrets_are_hidden_and_the_rest_is_shown(arguments: list[str], shown: list[str]) -> None:
    assert list(redact(arguments)) == shown


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nginx", "-g", "daemon off;"],
        ["--author=me", "--bypass", "cache", "--compass=north"],
        ["osapi", "token", "generate"],
        ["https://example.com:8080/a@b"],
        ["a", "", "b=c"],
    ],
)
def test_what_is_no_secret_is_shown(arguments: list[str]) -> None:
    assert list(redact(arguments)) == arguments


names = st.sampled_from(["password", "passwd", "token", "secret", "api_key", "access-key", "PrivateKey", "credentials"])
affixes = st.from_regex(r"[a-z0-9_-]{0,12}", fullmatch=True)
secrets = st.from_regex(r"[A-Za-z0-9+/._!-]{1,30}", fullmatch=True).map(lambda text: f"Zq9{text}")


@given(affixes, names, affixes, secrets, st.sampled_from(["=", None]))
def test_no_option_that_is_named_like_a_secret_shows_it(
    before: str, name: str, after: str, secret: str, joint: str | None
) -> None:
    option = f"--{before}{name}{after}"
    arguments = [f"{option}{joint}{secret}"] if joint else [option, secret]

    shown = list(redact(["program", *arguments, "last"]))

    assert secret not in " ".join(shown)
    assert HIDDEN in shown[1] if joint else shown[2] == HIDDEN
    assert (shown[0], shown[-1]) == ("program", "last")


@given(st.lists(st.text()))
def test_no_command_line_breaks_it(arguments: list[str]) -> None:
    assert len(list(redact(arguments))) == len(arguments)
