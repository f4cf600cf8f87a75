"""Configurations made of text, and what is told about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from osapi_cli.configuration import ConfigurationError, Loaded, load

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0123456789abcdef0123456789abcdef"


class Files:
    """Writes and reads configuration files; places in what is told are without the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, text: str | bytes = "", **environment: str) -> Loaded:
        """Return the configuration of a file with this text, under these variables."""
        file = self.folder / "osapi.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(str(file), environment)

    def problems(self, text: str | bytes = "", **environment: str) -> list[str]:
        """Return what is told about a configuration that cannot be used."""
        with pytest.raises(ConfigurationError) as caught:
            self.load(text, **environment)
        return [self.short(str(problem)) for problem in caught.value.exceptions]

    def short(self, told: str) -> str:
        return told.replace(f"{self.folder}/", "")
