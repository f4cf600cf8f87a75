"""One connection to a NATS server or cluster, as osapi sees it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import trio

from osapi.configs import check_bucket, check_stream
from osapi.errors import MismatchError, MissingError, UnsupportedBrokerError
from osapi.transport import BrokerInfo
from osapi_nats.api import Answer, NoRespondersError, StreamAnswer
from osapi_nats.documents import (
    bucket_document,
    bucket_stream,
    check_document,
    dead_letter_subjects,
    stream_document,
)
from osapi_nats.key_value import NatsKeyValue
from osapi_nats.streams import NatsStream

if TYPE_CHECKING:
    from osapi.transport import BucketConfig, StreamConfig
    from osapi_nats.api import Api


class NatsTransport:
    """Implements `osapi.transport.Transport`; a namespace goes in front of every name and every subject."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._in_names = f"{namespace}-" if namespace else ""
        self._in_subjects = f"{namespace}." if namespace else ""

    @property
    def max_payload(self) -> int:
        """Return the largest payload with its headers, in bytes, that the server takes."""
        return self._api.link.connection.server.max_payload

    @property
    def broker(self) -> BrokerInfo:
        """Return the URL and the version of the server that we are connected to, or were last."""
        server = self._api.link.connection.server
        return BrokerInfo(url=server.url, version=server.version)

    def now(self) -> float:
        """Return the time in Unix seconds by the server's clock, as far as we know it."""
        return time.time() + self._api.offset

    async def bucket(self, config: BucketConfig) -> NatsKeyValue:
        """Open a bucket, creating it where it is missing."""
        check_bucket(config)
        name = f"{self._in_names}{config.name}"
        await self._open(bucket_document(name, config), f"bucket {config.name}")
        return NatsKeyValue(self._api, config, name)

    async def stream(self, config: StreamConfig) -> NatsStream:
        """Open a stream, creating it where it is missing."""
        check_stream(config)
        name = f"{self._in_names}{config.name}"
        if config.dead_letters_of:
            # The server's own subjects: the namespace is within them, not in front.
            prefix, subjects = "", dead_letter_subjects(f"{self._in_names}{config.dead_letters_of}")
        else:
            prefix = self._in_subjects
            subjects = [f"{prefix}{subject}" for subject in config.subjects]
        await self._open(stream_document(name, subjects, config), f"stream {config.name}")
        return NatsStream(self._api, config, name, prefix, subjects)

    async def delete_bucket(self, name: str) -> bool:
        """Remove a bucket with all it holds and say whether it was there."""
        return await self._delete(bucket_stream(f"{self._in_names}{name}"), f"bucket {name}")

    async def delete_stream(self, name: str) -> bool:
        """Remove a stream with its messages and consumers and say whether it was there."""
        return await self._delete(f"{self._in_names}{name}", f"stream {name}")

    async def check_jetstream(self) -> None:
        """Refuse a server that has no JetStream for us.

        Raises:
            UnsupportedBrokerError
            DisconnectedError: it has, and does not answer now: a cluster without a leader, say.

        """
        try:
            await self._api.read("INFO", None, Answer, "the server")
        except NoRespondersError as error:
            raise UnsupportedBrokerError(
                f"{error}: start the server with JetStream (-js), and give this user's account JetStream"
            ) from None

    async def _open(self, document: dict[str, Any], what: str) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        name = document["name"]
        found = await self._find(name, what)
        if found is None:
            try:
                await self._api.write(f"STREAM.CREATE.{name}", document, StreamAnswer, what)
            except MismatchError:
                # Another one has made it meanwhile; or else one of its subjects belongs to another stream.
                found = await self._find(name, what)
                if found is None:
                    raise
            else:
                return
        check_document(what, document, found.config)

    async def _find(self, name: str, what: str) -> StreamAnswer | None:
        try:
            return await self._api.read(f"STREAM.INFO.{name}", None, StreamAnswer, what)
        except MissingError:
            return None

    async def _delete(self, stream: str, what: str) -> bool:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            await self._api.write(f"STREAM.DELETE.{stream}", None, Answer, what)
        except MissingError:
            return False
        return True
