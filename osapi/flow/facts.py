"""Telling facts: what an agent knows of its host, in the bucket of facts and for the jobs that it runs."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from osapi.errors import DisconnectedError, InvalidSettingError, LimitReachedError, PayloadTooLargeError, UncertainError
from osapi.flow.persist import insist
from osapi.rules.codec import FACTS
from osapi.rules.facts import flatten, normalise_facts
from osapi.rules.keys import agent_key
from osapi.rules.records import VERSION, Facts
from osapi.settings import facts_bucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from osapi.flow.store import Store
    from osapi.rules.facts import FlatFacts
    from osapi.transport import KeyValue

    FactSource: TypeAlias = Mapping[str, Any] | Callable[[], Awaitable[Mapping[str, Any]]]

_log = logging.getLogger("osapi.agent")


class HostFacts:
    """The facts of one agent's host: given once, or collected anew each time they are told.

    Raises:
        InvalidSettingError: facts that were given are not well formed.

    """

    def __init__(self, hostname: str, source: FactSource | None) -> None:
        self._hostname = hostname
        self._collect = source if callable(source) else None
        self.given = source is not None
        self.known: dict[str, Any] = {} if source is None or callable(source) else normalise_facts(source)
        self.flat: FlatFacts = flatten(self.known)
        self._telling = trio.Lock()

    async def open(self, store: Store) -> None:
        """Open the bucket and tell the facts for the first time.

        Raises:
            MismatchError: the bucket exists with other settings.
            DisconnectedError, UncertainError: the broker stayed away.

        """
        self._store = store
        settings = store.settings
        self._bucket: KeyValue = await insist(partial(store.transport.bucket, facts_bucket(settings)), settings.persist)
        await self.tell()

    async def keep(self) -> None:
        """Tell the facts again and again, for as long as the task runs."""
        while True:
            await trio.sleep(self._store.settings.facts_interval)
            await self.tell()

    async def tell(self) -> None:
        """Collect the facts, and tell them whether or not they have changed, so that they live on.

        What cannot be collected stays as it was, what cannot be told is told the next time; the log says why.
        """
        async with self._telling:
            await self._renew()
            told = Facts(v=VERSION, hostname=self._hostname, updated=self._store.now(), facts=self.known)
            put = partial(self._bucket.put, agent_key(self._hostname), FACTS.encode(told))
            try:
                await insist(put, self._store.settings.persist)
            except (DisconnectedError, UncertainError, LimitReachedError, PayloadTooLargeError) as error:
                _log.warning("the facts of %s did not get through: %s", self._hostname, error)

    async def _renew(self) -> None:
        if self._collect is None:
            return
        seconds = self._store.settings.facts_interval
        try:
            with trio.fail_after(seconds):
                self.known = normalise_facts(await self._collect())
            self.flat = flatten(self.known)
        except trio.TooSlowError:
            _log.warning("the facts of %s were not collected within %g s", self._hostname, seconds)
        except InvalidSettingError as error:
            _log.warning("the facts of %s are refused: %s", self._hostname, error)
        except Exception:  # noqa: BLE001 - whatever a collector raises costs its facts, not the agent
            _log.exception("the facts of %s could not be collected", self._hostname)
