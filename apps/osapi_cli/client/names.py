"""What a shell offers besides commands and flags: the names of agents and of operations, as the server has them.

Somebody waits for each of them with a finger on TAB, so that neither trio nor httpx2 is imported, and a server that
does not answer at once, or refuses, has none.
"""

from __future__ import annotations

import os
from threading import Thread
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from osapi.errors import OsapiError
from osapi_cli.client.server import find_server
from osapi_cli.configuration import ConfigurationError, load
from osapi_cli.group import Flags

if TYPE_CHECKING:
    import click

    from osapi_cli.client.server import Server

T = TypeVar("T")

_PATIENCE: Final = 0.4  # seconds
_OPERATION: Final = "/operation/{target}/"


class _Agent(msgspec.Struct):
    hostname: str


class _Agents(msgspec.Struct):
    agents: list[_Agent]


class _Description(msgspec.Struct):
    paths: dict[str, msgspec.Raw]


def hostnames(ctx: click.Context) -> list[str]:
    """Return the names of the agents."""
    found = _ask(ctx, "/agent", _Agents)
    return [agent.hostname for agent in found.agents] if found else []


def operations(ctx: click.Context) -> list[str]:
    """Return the names of the operations."""
    found = _ask(ctx, "/openapi.json", _Description)
    return [path.removeprefix(_OPERATION) for path in found.paths if path.startswith(_OPERATION)] if found else []


def _ask(ctx: click.Context, path: str, kind: type[T]) -> T | None:
    try:
        flags = ctx.find_object(Flags) or Flags()
        server = find_server(load(flags.file, os.environ))
    except (ConfigurationError, OsapiError):
        return None
    answers: list[bytes] = []

    def get() -> None:
        answers.append(_get(server, path))

    # Not by the socket's timeout: the look-up of a name has none.
    asking = Thread(target=get, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    try:
        return msgspec.json.decode(answers[0], type=kind) if answers else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _get(server: Server, path: str) -> bytes:
    """Return the answer to a request, whatever it is; nothing if there is none."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # noqa: PLC0415

    there = urlsplit(f"{server.url}/api{path}")
    connection = (HTTPSConnection if server.secure else HTTPConnection)(there.netloc, timeout=_PATIENCE)
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    try:
        connection.request("GET", there.path, headers=headers)
        return connection.getresponse().read()
    except (OSError, HTTPException, ValueError):
        return b""
    finally:
        connection.close()
