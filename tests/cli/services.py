"""Running programs: started with their ports free to choose, asked over HTTP, told to stop."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from tests.cli.program import OSAPI, begin, finish

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Ended

KEY = "0123456789abcdef0123456789abcdef"

_URL = re.compile(r"http://[\w.:]+")


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a user with nothing of ours in it but these variables; every port is a free one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OSAPI_", "XDG_"))}
    ports = {
        f"OSAPI_{part}_PORT": "0" for part in ("CONTROLLER_API", "CONTROLLER_METRICS", "AGENT_METRICS", "NATS_SERVER")
    }
    return {**inherited, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), **ports, **variables}


class Service:
    """A program that runs until it is told to stop; at the end of the block it is killed if it still does."""

    def __init__(self, home: Path, *arguments: str, **variables: str) -> None:
        self.process = begin(*OSAPI, *arguments, env=environment(home, **variables))
        self.said: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stderr is not None and not self.process.stderr.closed:
            finish(self.process)

    def until(self, words: str) -> str:
        """Return what it says on stderr once that has these words in it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(json.loads(line))
            if words in self.said[-1]["message"]:
                return str(self.said[-1]["message"])
        raise AssertionError(self.said)

    def url(self, words: str) -> str:
        """Return the URL in what it says with these words."""
        found = _URL.search(self.until(words))
        assert found is not None
        return found[0]

    def ended(self, number: int | None = None) -> Ended:
        """Return what became of it, after this signal if one is given; what was said is JSON to the end."""
        if number is not None:
            self.process.send_signal(number)
        ended = finish(self.process)
        self.said += map(json.loads, ended.err.splitlines())
        return ended


def ask(url: str, token: str = "", data: object = None) -> tuple[int, Any]:
    """Return the status and the body of the answer to a GET, or with data to a POST."""
    request = urllib.request.Request(url)  # noqa: S310 - our own
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if data is not None:
        request.data = json.dumps(data).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
