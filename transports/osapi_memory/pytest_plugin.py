"""Fixtures for testing programs that embed osapi: a broker, a client and a running agent, all in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import osapi
    from osapi.transport import Transport
