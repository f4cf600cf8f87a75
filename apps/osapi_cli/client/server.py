"""Where the server is, and who we are to it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from osapi_cli.local import access, state_folder
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

    def __repr__(self) -> str:
        return f"Server(url={self.url!r})"

    @property
    def secure(self) -> bool:
        """Tell whether TLS is spoken."""
        return self.url.startswith("https:")


def find_server(loaded: Loaded) -> Server:
    """Return the server that the configuration names, else the one that `osapi start` runs for this user.

    Raises:
        ConfigurationError: the token is nothing that a request can carry.
        ProblemError: what `osapi start` has left may not be trusted.

    """
    found, folder = access(loaded, os.environ), state_folder(os.environ)
    default = found.url == loaded.configuration.controller.client.url
    url_from = loaded.given.get(_URL, f"the default of {_URL}" if default else str(folder / "url"))
    token_from = loaded.given.get(_TOKEN, str(folder / "token"))
    if not _SENDABLE.fullmatch(found.token):
        problem = "holds what no token does: a blank, a line's end, or a letter that is not ASCII"
        raise refuse([ProblemError(token_from, _TOKEN, problem, "give the token as `osapi token generate` prints it")])
    return Server(url=found.url.rstrip("/"), token=found.token, url_from=url_from, token_from=token_from)
