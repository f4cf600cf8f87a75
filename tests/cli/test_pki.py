"""The folder of a program's keys: made when first needed, shared, refused."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

import osapi
from osapi_cli.configuration import ConfigurationError, ProblemError
from osapi_cli.running.pki import Keys, agent_keys, controller_keys, succeed
from osapi_cli.wiring import Pki

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.configurations import Files


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(key_dir=tmp_path / "pki", grace=60.0)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def believes(keys: Keys, *controllers: osapi.Signer | None) -> bool:
    """Tell whether each of these is a controller here."""
    assert keys.trust is not None
    ledger = keys.trust.ledger()
    return all(one is not None and ledger.parties(one.public.raw, 0.0) for one in controllers)


def test_without_keys_there_is_nothing() -> None:
    assert controller_keys(None) == agent_keys(None) == Keys()


def test_a_controller_makes_its_key_and_lists_it_for_agents(pki: Pki) -> None:
    first = controller_keys(pki)
    again = controller_keys(pki)
    assert first.signer is not None
    assert again.signer is not None
    assert first.signer.public == again.signer.public
    assert mode(pki.key_dir) == 0o700
    assert mode(pki.key_dir / "controller.pem") == 0o600
    lines = (pki.key_dir / "controllers.pub").read_text().splitlines()
    assert lines == ["# The controllers that agents obey.", str(first.signer.public)]

    agent = agent_keys(pki)
    assert believes(agent, first.signer)
    assert believes(first, first.signer)
    assert not believes(agent, agent.signer)
    assert mode(pki.key_dir / "agent.pem") == 0o600
    assert agent.journal == pki.key_dir / "journal"
    assert agent.signer is not None
    assert agent.signer.public != first.signer.public


def test_controllers_with_keys_of_their_own_believe_each_other(pki: Pki) -> None:
    other = osapi.Signer.generate()
    pki.key_dir.mkdir(mode=0o700)
    (pki.key_dir / "controllers.pub").write_text(f"\n  {other.public}  # the one in Oslo")
    keys = controller_keys(pki)
    assert believes(keys, other, keys.signer)
    assert believes(agent_keys(pki), other, keys.signer)
    assert "# the one in Oslo\n" in (pki.key_dir / "controllers.pub").read_text()


def test_an_agent_that_knows_no_controller_is_refused_and_makes_nothing(pki: Pki) -> None:
    with pytest.raises(ProblemError, match=r"controllers\.pub: agent\.pki: lists no controller .*; copy it from "):
        agent_keys(pki)
    assert not pki.key_dir.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# nobody\n", "lists no controller whose jobs are to be run"),
        ("#\ned25519:00\n", r"controllers\.pub:2: 'ed25519:00' is not a public key"),
        ("\0" * 70_000, "is longer than 65536 bytes"),
    ],
)
def test_a_list_that_is_none_is_refused(pki: Pki, text: str, told: str) -> None:
    pki.key_dir.mkdir(mode=0o700)
    (pki.key_dir / "controllers.pub").write_text(text)
    with pytest.raises(ProblemError, match=told):
        agent_keys(pki)


@pytest.mark.parametrize("name", ["controllers.pub", "."])
def test_what_others_may_write_is_refused(pki: Pki, name: str) -> None:
    controller_keys(pki)
    (pki.key_dir / name).chmod(0o777)
    for keys in (agent_keys, controller_keys):
        with pytest.raises(ProblemError, match="has mode 0777, so that others may write it; `chmod go-w "):
            keys(pki)


def test_a_private_key_that_others_may_read_is_refused(pki: Pki) -> None:
    controller_keys(pki)
    (pki.key_dir / "controller.pem").chmod(0o640)
    with pytest.raises(osapi.KeyFileError, match="its mode is 0640"):
        controller_keys(pki)


# --- A key that takes another's place -------------------------------------------------------------------------


def move(pki: Pki, program: str) -> None:
    """Do what an operator does who wants another key."""
    (pki.key_dir / f"{program}.pem").rename(pki.key_dir / f"{program}.previous.pem")


def test_the_key_before_is_used_first_and_believed_until_then(pki: Pki) -> None:
    before = controller_keys(pki), agent_keys(pki)
    for program, old, keys_of in (("controller", before[0], controller_keys), ("agent", before[1], agent_keys)):
        assert (old.first, old.previous) == (old.signer, None)
        move(pki, program)
        keys = keys_of(pki)
        assert keys.previous is not None
        assert keys.signer is not None
        assert old.signer is not None
        assert keys.first is keys.previous.signer
        assert keys.previous.path == pki.key_dir / f"{program}.previous.pem"
        assert keys.previous.signer.public == old.signer.public != keys.signer.public
    (pki.key_dir / "controllers.pub").unlink()
    controller = controller_keys(pki)
    assert believes(controller, controller.first, controller.signer)


@pytest.mark.parametrize("program", ["controller", "agent"])
def test_a_key_that_was_copied_and_not_moved_is_refused(pki: Pki, program: str) -> None:
    controller_keys(pki)
    keys_of = {"controller": controller_keys, "agent": agent_keys}[program]
    keys_of(pki)
    (pki.key_dir / f"{program}.previous.pem").touch(mode=0o600)
    with pytest.raises(osapi.KeyFileError, match=rf"{program}\.previous\.pem: this is no private key"):
        keys_of(pki)
    copied = (pki.key_dir / f"{program}.pem").read_bytes()
    (pki.key_dir / f"{program}.previous.pem").write_bytes(copied)
    told = rf"{program}\.previous\.pem: is the same key as {program}\.pem; move it there, and do not copy it"
    with pytest.raises(ProblemError, match=told):
        keys_of(pki)


async def test_a_key_that_another_one_follows_already_is_refused(pki: Pki) -> None:
    controller_keys(pki)
    move(pki, "controller")
    keys = controller_keys(pki)
    assert keys.previous is not None
    async with osapi.connect("memory://") as transport:
        async with osapi.Client(transport, signer=keys.first, trust=keys.trust) as client:
            await client.rotate(osapi.Signer.generate())
        async with osapi.Client(transport, signer=keys.first, trust=keys.trust) as client:
            with pytest.raises(ProblemError, match=r"controller\.previous\.pem: holds key .*, which another than "):
                await succeed(client, keys, pki)
    assert keys.previous.path.exists()


async def test_a_start_that_was_cut_off_is_made_up_for_by_the_next(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def protected(path: Path, *, missing_ok: bool) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    controller_keys(pki)
    move(pki, "controller")
    async with osapi.connect("memory://") as transport:
        for _ in range(2):
            keys = controller_keys(pki)
            with monkeypatch.context() as patched:
                patched.setattr("pathlib.Path.unlink", protected)
                async with osapi.Client(transport, signer=keys.first, trust=keys.trust) as client:
                    await succeed(client, keys, pki)
            assert "previous.pem is not needed any more, and cannot be removed: Read-only file system" in caplog.text
        keys = controller_keys(pki)
        async with osapi.Client(transport, signer=keys.first, trust=keys.trust) as client:
            await succeed(client, keys, pki)
    done = controller_keys(pki)
    assert done.previous is None
    assert done.signer is not None
    assert keys.signer is not None
    assert done.signer.public == keys.signer.public


def test_a_folder_that_may_not_be_entered_is_told_of(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.exists", denied)
    with pytest.raises(ProblemError, match=r"controller\.previous\.pem: cannot be read: Permission denied; let this"):
        controller_keys(pki)


def test_a_pipe_or_a_file_in_the_place_of_a_folder_is_refused(pki: Pki) -> None:
    pki.key_dir.write_text("")
    with pytest.raises(ProblemError, match="is no folder"):
        agent_keys(pki)
    pki.key_dir.unlink()
    (pki.key_dir / "controllers.pub").mkdir(parents=True, mode=0o700)
    with pytest.raises(ProblemError, match="cannot be read: Is a directory"):
        agent_keys(pki)
    (pki.key_dir / "controllers.pub").rmdir()
    os.mkfifo(pki.key_dir / "controllers.pub", 0o600)
    with pytest.raises(ProblemError, match="lists no controller"):
        agent_keys(pki)


@pytest.mark.parametrize("program", ["controller", "agent"])
def test_keys_need_a_folder(files: Files, program: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        files.load(f"{program}: {{pki: {{enabled: true}}}}")
    (told,) = map(str, caught.value.exceptions)
    assert f"{program}.pki.key_dir: is not given, and {program}.pki.enabled is true" in told
