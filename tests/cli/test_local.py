"""What `osapi start` has left is found by the other commands, and only if nobody else can have touched it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from osapi_cli import local
from osapi_cli.configuration import ProblemError, load
from osapi_cli.local import Access, access, read_private, state_folder

if TYPE_CHECKING:
    from osapi_cli.configuration import Loaded
    from tests.cli.configurations import Files


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "osapi"
    folder.mkdir(mode=0o700)
    for name, text in ((local.URL, "http://127.0.0.1:18080\n"), (local.TOKEN, "a.b.c\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return folder


def found(loaded: Loaded, state: Path) -> tuple[str, str]:
    told = access(loaded, {"XDG_STATE_HOME": str(state.parent)})
    return told.url, told.token


def test_the_folder_is_where_the_specification_says() -> None:
    assert state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/osapi")
    assert state_folder({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/osapi")
    assert state_folder({"HOME": "/h"}) == Path("/h/.local/state/osapi")


def test_without_anything_there_is_the_default_and_no_token(tmp_path: Path) -> None:
    assert found(load("", {"HOME": "/nowhere"}), tmp_path / "none") == ("http://127.0.0.1:8080", "")


def test_what_was_left_is_used(state: Path) -> None:
    assert found(load("", {"HOME": "/nowhere"}), state) == ("http://127.0.0.1:18080", "a.b.c")


def test_a_configured_token_wins(state: Path, files: Files) -> None:
    loaded = files.load("controller: {client: {security: {bearer_token: mine}}}")
    assert found(loaded, state) == ("http://127.0.0.1:18080", "mine")


def test_a_configured_url_does_not_get_the_token_of_another_one(state: Path, files: Files) -> None:
    loaded = files.load("controller: {client: {url: 'https://osapi.example.com'}}")
    assert found(loaded, state) == ("https://osapi.example.com", "")


def test_access_does_not_show_its_token() -> None:
    assert "s3cret" not in repr(Access(url="http://a", token="s3cret"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_use_is_refused(state: Path, mode: int) -> None:
    (state / local.TOKEN).chmod(mode)
    with pytest.raises(ProblemError, match=f"token: has mode {mode:04o}, so that others may use it; remove it"):
        read_private(state / local.TOKEN)


def test_what_is_no_file_of_ours_is_refused(state: Path) -> None:
    (state / "link").symlink_to(state / local.TOKEN)
    os.mkfifo(state / "pipe", 0o600)
    (state / "long").touch(0o600)
    (state / "long").write_text("a" * 20_000)
    (state / "binary").touch(0o600)
    (state / "binary").write_bytes(b"\xff")
    for name, told in (
        ("link", "cannot be read: Too many levels of symbolic links"),
        ("pipe", "is no file"),
        ("long", "holds something else"),
        ("binary", "holds something else"),
    ):
        with pytest.raises(ProblemError, match=told):
            read_private(state / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(state: Path) -> None:
    os.chown(state / local.TOKEN, 65534, 65534)
    with pytest.raises(ProblemError, match="belongs to another user"):
        read_private(state / local.TOKEN)
