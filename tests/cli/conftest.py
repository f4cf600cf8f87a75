from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from osapi_cli.program import run
from tests.cli.configurations import Files
from tests.cli.host_operations import operations
from tests.cli.program import Ended
from tests.cli.serving import Service, serving, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Run a server with three agents for the tests of a module."""
    with serving(operations) as found:
        yield found


class Client(NamedTuple):
    """The program's `osapi client`, in this very process."""

    service: Service
    invoke: Callable[..., Ended]
    environment: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> Ended:
        return self.invoke("client", *arguments)

    def json(self, *arguments: str) -> Any:
        """Return what a command prints as JSON; it must have gone well, and be one document."""
        ended = self(*arguments, "--json")
        assert (ended.status, ended.err) == (0, "")
        return json.loads(ended.out)

    def use_token(self, *roles: str) -> None:
        """Go on with a token of these roles."""
        self.environment.setenv("OSAPI_CONTROLLER_CLIENT_SECURITY_BEARER_TOKEN", token_of(*roles))


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run the program in this process; no configuration is found but that of the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def invoke(*arguments: str) -> Ended:
        status = run([*arguments])
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return invoke


@pytest.fixture
def client(service: Service, here: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> Client:
    """Run `osapi client` against the server, by default with a token of the role admin."""
    for name, value in service.environment().items():
        monkeypatch.setenv(name, value)
    return Client(service, here, monkeypatch)
