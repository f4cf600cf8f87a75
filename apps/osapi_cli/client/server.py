"""Where the server is, and who we are to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from osapi_cli.problems import ProblemError, refuse

if TYPE_CHECKING:
    from osapi_cli.configuration import Loaded

_URL: Final = "controller.client.url"
_TOKEN: Final = "controller.client.security.bearer_token"
_SENDABLE: Final = re.compile(r"[!-~]*")


class Server(Struct, frozen=True, kw_only=True):
    """A server's URL without a slash at its end, the token for it, and where each is said to be so."""

    url: str
    token: str
    url_from: str
    token_from: str

    @property
    def secure(self) -> bool:
        """Tell whether TLS is spoken."""
        return self.url.startswith("https:")


def find_server(loaded: Loaded) -> Server:
    """Return the server that the configuration names.

    Raises:
        ConfigurationError: the token is nothing that a request can carry.

    """
    client = loaded.configuration.controller.client
    if not _SENDABLE.fullmatch(client.security.bearer_token):
        where = loaded.given.get(_TOKEN, "")
        problem = "holds what no token does: a blank, a line's end, or a letter that is not ASCII"
        raise refuse([ProblemError(where, _TOKEN, problem, "give the token as `osapi token generate` prints it")])
    return Server(
        url=client.url.rstrip("/"),
        token=client.security.bearer_token,
        url_from=loaded.given.get(_URL, f"the default of {_URL}"),
        token_from=loaded.given.get(_TOKEN, ""),
    )
