"""Who we are, as nats-py's `connect` wants to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nats.aio.client import RawCredentials

from osapi_nats.credentials import read_creds, read_seed

if TYPE_CHECKING:
    from osapi_nats.options import Options


def login(options: Options) -> dict[str, Any]:
    """Return what nats-py's `connect` needs for the credentials.

    Raises:
        AccessRefusedError: a file cannot be read, or holds something else.

    """
    if options.user:
        return {"user": options.user, "password": options.password}
    if options.token:
        return {"token": options.token}
    if options.nkey:
        return {"nkeys_seed_str": read_seed(options.nkey)}
    if options.creds:
        # nats-py would search for a missing mark for ever: it gets what was found to have them all.
        return {"user_credentials": RawCredentials(read_creds(options.creds).text)}
    return {}
