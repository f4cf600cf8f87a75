"""Keys and journals in files: made once, for their owner alone, refused when anything is wrong with them."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

import osapi
from osapi.flow.journal import Journal
from osapi.rules.records import SlotStatus
from osapi.rules.replays import ENDED, Started
from osapi.signer import verifies
from tests.rules.builders import definition, record

if TYPE_CHECKING:
    from pathlib import Path

JOB = definition()


def test_a_key_is_made_once_and_read_after(tmp_path: Path) -> None:
    place = tmp_path / "pki" / "agent.pem"
    signer = osapi.Signer.open(place)
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert osapi.Signer.open(place).public == signer.public
    assert osapi.Signer.read(place).fingerprint == signer.fingerprint
    assert [path.name for path in place.parent.iterdir()] == ["agent.pem"]
    assert "PRIVATE" not in repr(signer)
    assert verifies(signer.public.raw, signer.sign(b"x"), b"x")
    assert not verifies(signer.public.raw, signer.sign(b"x"), b"y")
    assert not verifies(b"\xff" * 32, signer.sign(b"x"), b"x")


def test_many_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    place = tmp_path / "key.pem"
    program = f"import osapi; print(osapi.Signer.open({str(place)!r}).public)"
    many = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(3)]  # noqa: S603
    told = {process.communicate()[0] for process in many}
    assert told == {f"{osapi.Signer.read(place).public}\n".encode()}


def test_a_key_that_others_may_touch_or_that_is_none_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "key.pem"
    with pytest.raises(osapi.KeyFileError, match="No such file"):
        osapi.Signer.read(place)
    osapi.Signer.open(place)
    for mode in (0o640, 0o604, 0o620):
        place.chmod(mode)
        with pytest.raises(osapi.KeyFileError, match=f"its mode is {mode:04o}, so others may touch it; chmod 600"):
            osapi.Signer.open(place)
    place.chmod(0o600)
    (tmp_path / "link").symlink_to(place)
    with pytest.raises(osapi.KeyFileError):
        osapi.Signer.read(tmp_path / "link")
    with pytest.raises(osapi.KeyFileError, match="Is a directory"):
        osapi.Signer.read(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(osapi.KeyFileError, match="not a regular file"):
        osapi.Signer.read(tmp_path / "pipe")
    other = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content, told in ((b"nonsense", "no private key in PEM"), (b"x" * 20_000, "no key"), (other, "another kind")):
        place.write_bytes(content)
        with pytest.raises(osapi.KeyFileError, match=told):
            osapi.Signer.read(place)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ModuleNotFoundError("No module named 'cryptography'", name="cryptography")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(osapi.KeyFileError, match=r"pip install 'osapi\[pki\]'"):
        osapi.Signer.generate()


def test_the_library_is_imported_without_cryptography() -> None:
    program = "import osapi, sys; assert 'cryptography' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own


def test_public_keys_are_read_as_they_are_written() -> None:
    signer = osapi.Signer.generate()
    assert osapi.Trust([str(signer.public)]).ledger().parties(signer.public.raw, 0.0)
    for bad in ("", "ed25519:", str(signer.public).upper(), f"{signer.public}0", signer.fingerprint):
        with pytest.raises(osapi.InvalidSettingError, match="is not a public key"):
            osapi.Trust([bad])
    with pytest.raises(osapi.InvalidSettingError, match="no controllers"):
        osapi.Trust([])
    with pytest.raises(osapi.InvalidNameError):
        osapi.Trust([signer.public], {"no host": [signer.public]})
    with pytest.raises(osapi.InvalidSettingError, match="is not a fingerprint"):
        osapi.Trust([signer.public], refused=["x"])


def test_a_journal_remembers_and_keeps_its_file_short(tmp_path: Path) -> None:
    place = tmp_path / "journal"
    journal = Journal(place, 50.0)
    assert journal.start(JOB, record(SlotStatus.RUNNING), 60.0) == ""
    assert journal.start(JOB, record(SlotStatus.RUNNING), 60.0).startswith("replayed: attempt 1")
    journal.end(JOB, record(SlotStatus.RETRYABLE), 60.0)
    journal.close()
    journal = Journal(place, 70.0)
    assert journal.memory.since == 50.0
    assert list(journal.memory) == [Started(JOB.id, JOB.finish_by, 1)]
    journal.end(JOB, record(SlotStatus.COMPLETED), 70.0)
    for _ in range(2000):
        journal.end(JOB, record(SlotStatus.COMPLETED), 70.0)
    journal.close()
    assert len(place.read_text().splitlines()) < 1100
    with place.open("a") as file:
        file.write("1 999999.0 0a")
    again = Journal(place, 80.0)
    assert list(again.memory) == [Started(JOB.id, JOB.finish_by, ENDED)]
    again.close()
    later = Journal(place, JOB.finish_by + 1.0)
    assert not len(later.memory)
    assert later.memory.horizon == JOB.finish_by
    later.close()


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "journal"
    for content in ("", "something else\n", "osapi-journal-1 x y\n", "osapi-journal-1 1.0 0.0\nx y z\n"):
        place.write_text(content)
        with pytest.raises(osapi.KeyFileError, match="journal"):
            Journal(place, 0.0)
    with pytest.raises(osapi.KeyFileError):
        Journal(tmp_path, 0.0)
