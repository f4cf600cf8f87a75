"""What a server's settings may be, and that they do not show a password."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from osapi.errors import InvalidSettingError
from osapi_nats.server import Auth, Cluster, ServerSettings, Tls, User
from osapi_nats.server.render import render

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: ServerSettings(port=65536), "setting 65536: is no port; give 1 to 65535"),
        (lambda: ServerSettings(port=-1), "setting -1: is no port"),
        (lambda: ServerSettings(max_file=-1), "setting -1: is no size"),
        (lambda: ServerSettings(cluster=Cluster(name="c", port=1)), "is no name for a member of a cluster"),
        (lambda: Auth(type="user_pass"), "setting 'user_pass': needs users, and there are none"),
        (lambda: Auth(type="token"), "needs token"),
        (lambda: Auth(type="nkey", token="t"), "needs nkeys"),
    ],
)
def test_settings_that_cannot_be_are_refused(build: Callable[[], object], told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        build()


def test_no_password_is_shown() -> None:
    auth = Auth(type="user_pass", users=(User("alice", "hunter2"),), token="hunter3")

    assert "hunter" not in repr(ServerSettings(auth=auth))
    assert "alice" in repr(ServerSettings(auth=auth))


def rendered(settings: ServerSettings) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(render(settings, port=0, store_dir="/s", ports_dir="/p"))
    return configuration


def test_what_is_not_given_is_left_to_the_server() -> None:
    assert rendered(ServerSettings()) == {
        "host": "127.0.0.1",
        "port": -1,
        "ports_file_dir": "/p",
        "jetstream": {"store_dir": "/s"},
    }


def test_options_win_over_ours() -> None:
    options = {"ping_interval": "1s", "host": "::1"}

    assert rendered(ServerSettings(options=options)).items() >= options.items()


def test_tls_and_limits_have_the_servers_names() -> None:
    told = rendered(ServerSettings(tls=Tls(cert="c", key="k", ca="a", verify=True), max_memory=1, max_payload=2))

    assert told["tls"] == {"cert_file": "c", "key_file": "k", "ca_file": "a", "verify": True}
    assert told["jetstream"] == {"store_dir": "/s", "max_memory_store": 1}
    assert told["max_payload"] == 2
