"""What the commands do; each module is imported by the first command that needs it, so that help comes at once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from osapi_cli.client.work import agent as agent
    from osapi_cli.client.work import audit as audit
    from osapi_cli.client.work import command as command
    from osapi_cli.client.work import dlq as dlq
    from osapi_cli.client.work import health as health
    from osapi_cli.client.work import job as job
    from osapi_cli.client.work import network as network
    from osapi_cli.client.work import node as node
    from osapi_cli.client.work import process as process
    from osapi_cli.client.work import rollout as rollout
    from osapi_cli.client.work import run as run
    from osapi_cli.client.work import schedule as schedule
    from osapi_cli.client.work import watch as watch


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_"):
        raise AttributeError(name)
    return import_module(f"{__name__}.{name}")
