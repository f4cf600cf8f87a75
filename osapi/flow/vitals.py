"""Taking vitals: how the agent's host is, found out anew for every heartbeat and never waited for long."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

import trio

from osapi.errors import InvalidSettingError
from osapi.rules.vitals import checked_vitals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.rules.vitals import Vitals

    VitalsSource: TypeAlias = Callable[[], Awaitable[Vitals]]

_log = logging.getLogger("osapi.agent")

# A heartbeat must not be late for it: of three that fit into the life of a registration, one may get lost.
_SHARE = 0.25


class HostVitals:
    """The vitals of one agent's host, as they were found last; None before, and without a source."""

    def __init__(self, hostname: str, source: VitalsSource | None) -> None:
        self._hostname = hostname
        self._source = source
        self._failed = ""
        self.known: Vitals | None = None

    async def renew(self, heartbeat: float) -> Vitals | None:
        """Take them, within a quarter of a heartbeat's seconds; what cannot be found out stays as it was.

        The log says why, once until it succeeds or fails in another way.
        """
        if self._source is None:
            return None
        seconds = heartbeat * _SHARE
        try:
            with trio.fail_after(seconds):
                self.known = checked_vitals(await self._source())
        except trio.TooSlowError:
            self._tell(f"were not taken within {seconds:g} s")
        except InvalidSettingError as error:
            self._tell(f"are refused: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a source raises costs its vitals, not the agent
            self._tell(f"could not be taken: {type(error).__name__}: {error}")
        else:
            self._failed = ""
        return self.known

    def _tell(self, what: str) -> None:
        if self._failed != what:
            self._failed = what
            _log.warning("the vitals of %s %s", self._hostname, what)
