"""Refusing: what becomes of a job that nobody whom this agent trusts has asked for."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from osapi.errors import ConflictError, InvalidKeyError, LimitReachedError, RecordError
from osapi.flow.persist import write
from osapi.rules import lifecycle
from osapi.rules.claims import slot_of
from osapi.rules.codec import DEFINITION, RECORD
from osapi.rules.keys import response_key

if TYPE_CHECKING:
    from osapi.errors import UntrustedError
    from osapi.flow.store import Store
    from osapi.transport import Delivery

_log = logging.getLogger("osapi.agent")


async def refuse(store: Store, delivery: Delivery, host: str, job_id: str, error: UntrustedError) -> None:
    """Answer the delivery of a job that is not to be trusted, and record the refusal where this agent may.

    That is the slot that it would have filled, and only if nobody has written there: whatever the job says of itself,
    no other job's record, and no record that is there, can be made to change. Where there is nothing to write to, the
    delivery becomes a dead letter.

    Raises:
        DisconnectedError, UncertainError: the delivery is unanswered.

    """
    _log.warning("job %s is refused: %s", job_id, error)
    with suppress(RecordError, InvalidKeyError, LimitReachedError):
        definition = DEFINITION.decode(error.value)
        if definition.id == job_id and (definition.expected is None or host in definition.expected):
            slot = slot_of(definition, host)
            record = lifecycle.refuse(definition, slot, host, str(error), now=store.now())
            key, ttl = response_key(definition.origin, job_id, slot), max(1, int(store.settings.job_ttl))
            with suppress(ConflictError):
                await write(store.responses, key, RECORD.encode(record), 0, ttl=ttl, patience=store.settings.persist)
            delivery.ack()
            return
    delivery.term(str(error)[: lifecycle.MAX_EARLIER_ERROR])
