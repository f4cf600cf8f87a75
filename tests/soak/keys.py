"""The keys of a run, and the journals: in a folder, from which each of its processes takes what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import osapi

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CONTROLLER = "controller"


class Keys:
    """What clients and agents are given so that they sign and check; without a folder they do neither."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        found = {} if folder is None else {path.stem: osapi.Signer.read(path) for path in folder.glob("*.pem")}
        self._signers = found

    @classmethod
    def make(cls, folder: Path, hosts: Iterable[str]) -> Keys:
        """Make keys for the clients and for each of the agents, all of whom everybody believes from the start."""
        for name in (_CONTROLLER, *hosts):
            osapi.Signer.open(folder / f"{name}.pem")
        return cls(folder)

    def of_client(self) -> dict[str, Any]:
        """Return what a client is opened with besides."""
        return {} if self.folder is None else {"signer": self._signers[_CONTROLLER], "trust": self._trust()}

    def of_agent(self, host: str) -> dict[str, Any]:
        """Return what an agent is opened with besides."""
        if self.folder is None:
            return {}
        return {"signer": self._signers[host], "trust": self._trust(), "journal": self.folder / f"{host}.journal"}

    def _trust(self) -> osapi.Trust:
        agents = {name: [signer.public] for name, signer in self._signers.items() if name != _CONTROLLER}
        return osapi.Trust([self._signers[_CONTROLLER].public], agents)


UNSIGNED = Keys()
