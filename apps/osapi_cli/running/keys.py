"""The secrets that `osapi start` makes where none are configured, in the folder that `osapi_cli.local` describes.

A file appears whole or not at all, and two programs that start at once agree on it.
"""

from __future__ import annotations

import os
import pwd
import secrets
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from osapi_api.security import TokenError
from osapi_cli.local import TOKEN, URL, read_private
from osapi_cli.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from osapi_api import Security

_KEY_BYTES: Final = 32
_RENEW: Final = 30 * 24 * 3600.0  # in seconds before it expires, a third of its life


def make_folder(folder: Path) -> None:
    """Make the state folder for this user alone, or see that it is that.

    Raises:
        ProblemError

    """
    with _refusing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
    if found.st_uid != os.geteuid():
        raise ProblemError(str(folder), "", "belongs to another user", "set XDG_STATE_HOME to a folder of your own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        shown = f"{stat.S_IMODE(found.st_mode):04o}"
        raise ProblemError(str(folder), "", f"has mode {shown}, so that others may use it", f"`chmod 700 {folder}`")


def secret(path: Path) -> str:
    """Return the secret that a file holds; a new one, if there is no such file.

    Raises:
        ProblemError: the file is not ours alone, or cannot be written.

    """
    if not (found := read_private(path)):
        with _refusing(path.parent):
            _write(path, secrets.token_hex(_KEY_BYTES), replace=False)
        found = read_private(path)
    return found


def keep_token(folder: Path, security: Security) -> None:
    """See that there is an administrator's token that is good for a month.

    Raises:
        ProblemError: as for `secret`.

    """
    try:
        expires = security.validate(read_private(folder / TOKEN)).expires
    except TokenError:
        expires = 0.0
    if expires < time.time() + _RENEW:
        with _refusing(folder):
            _write(folder / TOKEN, security.generate(_user(), roles=["admin"]), replace=True)


@contextmanager
def told_url(folder: Path, url: str) -> Generator[None]:
    """Say for the length of a block where the API is.

    Raises:
        ProblemError: as for `secret`.

    """
    with _refusing(folder):
        _write(folder / URL, url, replace=True)
    try:
        yield
    finally:
        # Another one may have started meanwhile.
        if read_private(folder / URL) == url:
            (folder / URL).unlink(missing_ok=True)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _write(path: Path, text: str, *, replace: bool) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as opened:  # noqa: PTH123 - an open descriptor has no path
            opened.write(f"{text}\n")
            opened.flush()
            os.fsync(descriptor)
        if replace:
            new.replace(path)
        else:
            # Unlike a replacement, a link never takes the place of what another program has written.
            try:
                path.hardlink_to(new)
            except FileExistsError:
                return
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def _refusing(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        where = str(error.filename or folder)
        remedy = "set XDG_STATE_HOME to another folder"
        raise ProblemError(where, "", f"cannot be written: {error.strerror}", remedy) from error
