"""The keys that jobs and answers are signed with, in the folder that `controller.pki` or `agent.pki` names.

    controller.pem           the controller's private key                                                    0600
    controller.previous.pem  the one before, until it has announced that `controller.pem` follows            0600
    controllers.pub          the public keys that agents obey, one a line; `#` begins a comment
    agent.pem                the agent's private key                                                         0600
    agent.previous.pem       the one before, as for the controller                                           0600
    journal                  what the agent has started, so that nobody can have it started again            0600

Keys are made when they are first needed. The controller adds its own to `controllers.pub`, of which agents are given a
copy; with one folder for both there is nothing to copy. What others could have written there is refused.
"""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

import osapi
from osapi.errors import InvalidInputError, shown
from osapi_cli.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from osapi_cli.wiring import Pki

CONTROLLERS: Final = "controllers.pub"

_MAX_BYTES: Final = 64 * 1024  # nearly a thousand keys
_PAUSE: Final = 2.0  # in seconds, between two looks at who waits
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH

_log: Final = logging.getLogger("osapi.program")


class Previous(NamedTuple):
    """The key before ours, and its file, which is there until everybody was told which one follows."""

    path: Path
    signer: osapi.Signer


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """What a program signs with and whom it believes, nothing without keys; where an agent keeps its journal.

    Where there is a `previous` key, a client or an agent is opened with that one, and `succeed` puts ours in its place.
    """

    signer: osapi.Signer | None = None
    trust: osapi.Trust | None = None
    journal: Path | None = None
    previous: Previous | None = None

    @property
    def first(self) -> osapi.Signer | None:
        """Return the key to open a client or an agent with."""
        return self.signer if self.previous is None else self.previous.signer


def controller_keys(pki: Pki | None) -> Keys:
    """Return the controller's keys, made if there are none yet.

    Raises:
        KeyFileError, ProblemError: a file of the folder may not be trusted, or cannot be read or made.

    """
    if pki is None:
        return Keys()
    _check_folder(pki.key_dir)
    signer, previous = _own(pki.key_dir, "controller")
    listed = pki.key_dir / CONTROLLERS
    known = _listed(listed)
    if str(signer.public) not in known:
        _add(listed, signer)
    _log.info("jobs are signed with key %s; agents obey it by %s", signer.fingerprint, listed)
    ours = [signer.public] if previous is None else [signer.public, previous.signer.public]
    return Keys(signer=signer, trust=osapi.Trust([*known, *ours]), previous=previous)


def agent_keys(pki: Pki | None) -> Keys:
    """Return the agent's keys, its own made if there is none yet.

    Raises:
        KeyFileError, ProblemError: as for the controller; or no controller's key is there.

    """
    if pki is None:
        return Keys()
    _check_folder(pki.key_dir)
    listed = pki.key_dir / CONTROLLERS
    known = _listed(listed)
    if not known:
        remedy = "copy it from the controller.pki.key_dir of a controller, which makes it when it starts"
        raise ProblemError(str(listed), "agent.pki", "lists no controller whose jobs are to be run", remedy)
    signer, previous = _own(pki.key_dir, "agent")
    return Keys(signer=signer, trust=osapi.Trust(known), journal=pki.key_dir / "journal", previous=previous)


async def succeed(opened: osapi.Client | osapi.Agent, keys: Keys, pki: Pki | None) -> None:
    """Let our key take the place of the previous one, if there is one, and remove that.

    Raises:
        ProblemError: another key has taken its place already.
        LimitReachedError, DisconnectedError, UncertainError: the next start tries again.

    """
    if pki is None or keys.signer is None or keys.previous is None:
        return
    path, before = keys.previous
    try:
        await opened.rotate(keys.signer, grace=pki.grace)
    except osapi.EnrolmentError as error:
        problem = f"holds key {before.fingerprint}, which another than {keys.signer.fingerprint} follows"
        raise ProblemError(str(path), "", problem, "go on with that one, or remove this file") from error
    _log.warning(
        "key %s is in use from now on; %s, the one before, counts for %g s more",
        keys.signer.fingerprint,
        before.fingerprint,
        pki.grace,
    )
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s is not needed any more, and cannot be removed: %s", path, error.strerror)


async def accept_all(client: osapi.Client) -> None:
    """Accept every agent that waits, as long as the task runs; not a second key for a host that has one."""
    refused: set[str] = set()
    while True:
        try:
            for one in await client.enrolments.pending():
                if one.fingerprint not in refused:
                    await _accept(client, one, refused)
        except osapi.TransportError as error:
            _log.warning("nobody is accepted now: %s", error)
        await trio.sleep(_PAUSE)


async def _accept(client: osapi.Client, one: osapi.Applicant, refused: set[str]) -> None:
    try:
        await client.enrolments.accept(one.hostname, by="controller.pki.auto_accept")
    except osapi.EnrolmentError as error:
        refused.add(one.fingerprint)
        _log.warning("%s is not accepted: %s", one.hostname, error)
    except osapi.UnknownHostError:
        _log.debug("somebody else has decided about %s meanwhile", one.hostname)
    else:
        _log.warning("%s is accepted with key %s, unseen: controller.pki.auto_accept", one.hostname, one.fingerprint)


# --- The folder ----------------------------------------------------------------------------------------------


def _check_folder(path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return  # it is made with the first key, for this user alone
    except OSError as error:
        raise ProblemError(str(path), "", f"cannot be used: {error.strerror}", "let this user use it") from error
    if not stat.S_ISDIR(found.st_mode):
        raise ProblemError(str(path), "", "is no folder", "name one that the program may write to")
    _check(path, found)


def _own(folder: Path, program: str) -> tuple[osapi.Signer, Previous | None]:
    """Return a program's key, made if there is none, and the one before if that is there."""
    path = folder / f"{program}.previous.pem"
    try:
        previous = Previous(path, osapi.Signer.read(path)) if path.exists() else None
    except OSError as error:
        # As in a folder that may be read and not entered.
        raise ProblemError(str(path), "", f"cannot be read: {error.strerror}", "let this user read it") from error
    signer = osapi.Signer.open(folder / f"{program}.pem")
    if previous is not None and previous.signer.public == signer.public:
        raise ProblemError(str(path), "", f"is the same key as {program}.pem", "move it there, and do not copy it")
    return signer, previous


def _listed(path: Path) -> list[str]:
    """Return the keys that a file lists, none if there is no such file.

    Raises:
        ProblemError

    """
    try:
        with open(path, "rb", opener=_opener) as opened:
            _check(path, os.fstat(opened.fileno()))
            content = opened.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ProblemError(str(path), "", f"cannot be read: {error.strerror}", "let this user read it") from error
    if len(content) > _MAX_BYTES:
        raise ProblemError(str(path), "", f"is longer than {_MAX_BYTES} bytes", "list one public key a line")
    return [*_keys(path, content.decode(errors="replace"))]


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would keep it waiting


def _check(path: Path, found: os.stat_result) -> None:
    # In a folder with the sticky bit nobody can replace the files of others.
    if found.st_mode & _OTHERS and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise ProblemError(str(path), "", f"has mode {mode}, so that others may write it", f"`chmod go-w {path}`")
    if found.st_uid not in {os.geteuid(), 0}:
        raise ProblemError(str(path), "", f"belongs to user {found.st_uid}", f"`chown {os.geteuid()} {path}`")


def _keys(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("#")[0].strip()
        if key:
            try:
                osapi.Trust([key])
            except InvalidInputError as error:
                where = f"{path}:{number}"
                raise ProblemError(where, "", f"{shown(key)} {error.problem}", error.remedy) from None
            yield key


def _add(path: Path, signer: osapi.Signer) -> None:
    """Add a key to those that a file lists; who reads it meanwhile finds the old or the new one."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else "# The controllers that agents obey.\n"
        try:
            with draft.open("x", encoding="utf-8") as opened:
                opened.write(f"{before.rstrip()}\n{signer.public}\n")
                opened.flush()
                os.fsync(opened.fileno())
            draft.chmod(0o644)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ProblemError(str(path), "", f"cannot be written: {error.strerror}", f"add {signer.public}") from error
