"""What `osapi start` leaves for the commands of the same user: the API's URL and a token, in the user's state folder.

    $XDG_STATE_HOME/osapi, else ~/.local/state/osapi    0700
        signing-key    what tokens are signed with      0600
        token          an administrator's               0600
        url            where the API is, while it is    0600

Nobody else may read what is in it: a file that others could read or write is refused and not used.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from osapi_cli.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi_cli.configuration import Loaded

SIGNING_KEY: Final = "signing-key"
TOKEN: Final = "token"
URL: Final = "url"

_MAX_BYTES: Final = 16 * 1024


class Access(Struct, frozen=True, kw_only=True):
    """Where the API is and who asks; an empty `token` where none is known."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Access(url={self.url!r}, token={'***' if self.token else ''!r})"


def access(loaded: Loaded, environ: Mapping[str, str]) -> Access:
    """Return how the command line asks the API: as configured, else as `osapi start` has left it, else the default.

    A token from the state folder is for the URL found there and for the default one; one that is configured is for
    whatever URL holds.

    Raises:
        ProblemError: a file of the state folder may not be trusted, or cannot be read.

    """
    client = loaded.configuration.controller.client
    if "controller.client.url" in loaded.given:
        return Access(url=client.url, token=client.security.bearer_token)
    folder = state_folder(environ)
    return Access(
        url=read_private(folder / URL) or client.url,
        token=client.security.bearer_token or read_private(folder / TOKEN),
    )


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the user's state folder, which need not be there."""
    base = environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):  # the specification says to ignore a relative one
        base = f"{environ.get('HOME', '')}/.local/state"
    return Path(base, "osapi")


def read_private(path: Path) -> str:
    """Return what a file of ours holds, without white space around it; nothing if there is no such file.

    Raises:
        ProblemError: it is not ours alone, or cannot be read.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as opened:  # noqa: PTH123 - an open descriptor has no path
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _refused(path, "is no file")
        if found.st_uid != os.geteuid():
            raise _refused(path, "belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise _refused(path, f"has mode {stat.S_IMODE(found.st_mode):04o}, so that others may use it")
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES or not content.isascii():
        raise _refused(path, "holds something else")
    return content.decode("ascii").strip()


def _refused(path: Path, problem: str) -> ProblemError:
    return ProblemError(str(path), "", problem, "remove it and run `osapi start` again, or `chmod 600` what is yours")
