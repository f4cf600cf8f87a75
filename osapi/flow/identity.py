"""An agent's identity: its key, whether that is accepted, and what it remembers of the jobs it has started."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError
from osapi.flow.execute import Failed
from osapi.flow.journal import Journal
from osapi.flow.persist import insist
from osapi.flow.sealed import keyed
from osapi.rules.cancellation import check_text
from osapi.rules.codec import JOIN
from osapi.rules.keys import enrolment_key, join_key
from osapi.rules.records import VERSION, Join

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from os import PathLike

    from osapi.flow.claim import Claimed
    from osapi.flow.keyring import Keyring
    from osapi.rules.records import Definition
    from osapi.settings import Settings
    from osapi.signer import Signer
    from osapi.transport import Transport
    from osapi.trust import Trust

_log = logging.getLogger("osapi.agent")


class Identity:
    """Who one agent is; without a signer nobody in particular, and without trust it obeys everybody."""

    def __init__(
        self,
        hostname: str,
        machine_id: str,
        signer: Signer | None,
        trust: Trust | None,
        journal: str | PathLike[str] | None,
    ) -> None:
        self.machine_id = check_text("machine_id", machine_id)
        self.pending = False
        self._hostname = hostname
        self._signer = signer
        self._trust = trust
        self._path = journal
        self._keyring: Keyring | None = None
        self._journal: Journal | None = None
        self._asked = False
        self._told = ""

    @asynccontextmanager
    async def open(self, transport: Transport, settings: Settings) -> AsyncGenerator[Transport]:
        """Return the transport that signs and checks, for the length of the block.

        Raises:
            KeyFileError: the journal cannot be used.
            MismatchError, DisconnectedError, UncertainError

        """
        async with keyed(transport, settings, self._signer, self._trust) as (sealed, self._keyring):
            if self._trust is not None:
                self._journal = Journal(self._path, transport.now())
            try:
                yield sealed
            finally:
                if self._journal is not None:
                    self._journal.close()

    @property
    def fingerprint(self) -> str:
        """Return that of the key it signs with, empty if it has none."""
        signer = self._signer if self._keyring is None else self._keyring.signer
        return "" if signer is None else signer.fingerprint

    async def apply(self) -> None:
        """Learn whether the key is accepted, and ask for that if nothing is decided.

        Raises:
            RecordError, LimitReachedError, DisconnectedError, UncertainError

        """
        keyring = self._keyring
        if keyring is None:
            return
        if keyring.ledger is None:
            # It obeys everybody, and asks so that it is known by the time the others check.
            if not self._asked:
                await self._ask(keyring)
            return
        before, self.pending = self.pending, not await keyring.is_ours(self._hostname)
        if not self.pending:
            if before:
                self._told = ""
                _log.info("%s takes jobs: its key %s is accepted", self._hostname, self.fingerprint)
            return
        decided = keyring.ledger.enrolment(self._hostname)
        if decided is not None and str(keyring.signer.public) in decided.rejected:
            self._tell(f"its key {self.fingerprint} was rejected")
        else:
            await self._ask(keyring)
            self._tell(f"its key {self.fingerprint} waits to be accepted")

    async def _ask(self, keyring: Keyring) -> None:
        name, patience = keyring.settings.state_bucket, keyring.settings.persist
        bucket, key = await keyring.open(), join_key(self._hostname, self.fingerprint)
        decided, entry = await insist(partial(bucket.get_many, [enrolment_key(self._hostname), key]), patience)
        if keyring.ledger is None and decided is not None:
            self._asked = True
            return
        if entry is None or keyring.signed_by(name, entry) is None:
            asked = Join(
                v=VERSION,
                hostname=self._hostname,
                public=str(keyring.signer.public),
                machine_id=self.machine_id,
                requested_at=keyring.now(),
            )
            await insist(partial(bucket.put, key, keyring.seal(name, key, JOIN.encode(asked))), patience)
        self._asked = True

    def _tell(self, what: str) -> None:
        if self._told != what:
            self._told = what
            _log.warning("%s takes no jobs: %s", self._hostname, what)

    async def rotate(self, signer: Signer, grace: float) -> None:
        """Announce another key and sign with it.

        Raises:
            InvalidSettingError, EnrolmentError, LimitReachedError, DisconnectedError, UncertainError

        """
        if self._keyring is None:
            raise InvalidSettingError(self._hostname, "has no signer", "give the agent one, and then rotate it")
        await self._keyring.succeed(signer, grace)

    # --- What was started ---

    def passes_on(self, definition: Definition) -> bool:
        """Tell whether a job is left to others: this agent may have run it before it was started, and they not."""
        return definition.expected is None and self._journal is not None and self._journal.is_too_old(definition)

    def refusal(self, claimed: Claimed) -> Failed | None:
        """Take note of an attempt that starts; return what becomes of it instead if it must not."""
        if self._journal is None or self._keyring is None:
            return None
        why = self._journal.start(claimed.definition, claimed.record, self._keyring.now())
        if not why:
            return None
        _log.warning("job %s is refused: %s", claimed.definition.id, why)
        return Failed(f"refused by {self._hostname}: {why}")

    def ended(self, claimed: Claimed) -> None:
        """Take note that an attempt has ended, if it ended the job here."""
        if self._journal is None or self._keyring is None:
            return
        try:
            self._journal.end(claimed.definition, claimed.record, self._keyring.now())
        except OSError as error:
            _log.warning("the journal of what was started cannot be written: %s", error.strerror)
