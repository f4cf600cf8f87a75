"""A fleet with keys, and somebody who can write to its broker and has none."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import osapi
from osapi.rules.keys import job_key, notification_subject
from osapi.settings import job_bucket, response_bucket, state_bucket, stream_config

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.transport import Entry, KeyValue, Transport
    from tests.promises.conftest import World

# Making a key takes no time; these save a hundred lines of passing them round.
CONTROLLER = osapi.Signer.generate()
AGENTS = {name: osapi.Signer.generate() for name in ("a", "b")}
STRANGER = osapi.Signer.generate()

TRUST = osapi.Trust([CONTROLLER.public], {name: [signer.public] for name, signer in AGENTS.items()})


def keys_of(hostname: str) -> dict[str, Any]:
    """Return what makes an agent sign and check."""
    return {"signer": AGENTS[hostname], "trust": TRUST}


KEYS: dict[str, Any] = {"signer": CONTROLLER, "trust": TRUST}


class Attacker:
    """Writes to the broker whatever it likes."""

    def __init__(self, world: World, transport: Transport) -> None:
        self.transport = transport
        self.settings = world.settings

    async def jobs(self) -> KeyValue:
        """Open the bucket of definitions."""
        return await self.transport.bucket(job_bucket(self.settings))

    async def responses(self) -> KeyValue:
        """Open the bucket of records."""
        return await self.transport.bucket(response_bucket(self.settings))

    async def state(self) -> KeyValue:
        """Open the bucket of what agents are told."""
        return await self.transport.bucket(state_bucket(self.settings))

    async def notify(self, job_id: str, *, host: str = "") -> None:
        """Tell a host, or anyone, of a job."""
        stream = await self.transport.stream(stream_config(self.settings))
        subject = notification_subject("query", "host" if host else "any", host, job_id)
        await stream.publish(subject, b"")

    async def definition(self, job_id: str) -> bytes:
        """Read a definition as it is stored."""
        return value_of(await (await self.jobs()).get(job_key(job_id)))


def value_of(entry: Entry | None) -> bytes:
    """Return what is stored, which must be there."""
    assert entry is not None
    return entry.value


@asynccontextmanager
async def attack(world: World) -> AsyncGenerator[Attacker]:
    """Connect somebody without a key."""
    async with world.connect() as transport:
        yield Attacker(world, transport)
