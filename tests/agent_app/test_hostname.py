from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import osapi
from osapi_agent.hostname import HostnameUpdate, HostnameUpdated

if TYPE_CHECKING:
    from tests.agent_app.conftest import Do
    from tests.agent_app.pretended import PretendedSystem

OLD = HostnameUpdated(hostname="old-name", changed=False)
NEW = HostnameUpdated(hostname="new-name", changed=True)


async def test_without_systemd_the_kernel_and_the_file_are_told(do: Do, system: PretendedSystem) -> None:
    answer = await do("node.hostname.update", hostname="new-name")

    assert answer.unwrap() == NEW
    assert answer.changed
    assert system.name == "new-name"
    assert system.hostname_file.read_text(encoding="ascii") == "new-name\n"
    assert system.hostname_file.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in system.folder.iterdir()) == ["bin", "hostname"]


async def test_a_second_time_nothing_changes(do: Do) -> None:
    await do("node.hostname.update", hostname="new-name")

    answer = await do("node.hostname.update", hostname="new-name")

    assert answer.unwrap() == HostnameUpdated(hostname="new-name", changed=False)
    assert not answer.changed


async def test_the_name_it_has_but_would_lose_is_kept(do: Do, system: PretendedSystem) -> None:
    system.hostname_file.write_text("other\n", encoding="ascii")

    assert (await do("node.hostname.update", hostname="old-name")).changed

    assert system.hostname_file.read_text(encoding="ascii") == "old-name\n"


async def test_comments_in_the_file_are_no_name(do: Do, system: PretendedSystem) -> None:
    system.hostname_file.write_text("# by hand\n\n old-name \n", encoding="ascii")

    assert (await do("node.hostname.update", hostname="old-name")).unwrap() == OLD


async def test_with_systemd_hostnamectl_is_told(do: Do, system: PretendedSystem) -> None:
    system.install("hostnamectl", "")

    assert (await do("node.hostname.update", hostname="new-name")).unwrap() == NEW

    assert system.calls() == ["hostnamectl set-hostname new-name"]
    # It was for hostnamectl to do.
    assert (system.name, system.hostname_file.exists()) == ("old-name", False)


async def test_hostnamectl_is_not_called_for_nothing(do: Do, system: PretendedSystem) -> None:
    system.install("hostnamectl", "")
    system.hostname_file.write_text("old-name\n", encoding="ascii")

    assert (await do("node.hostname.update", hostname="old-name")).unwrap() == OLD

    assert system.calls() == []


@pytest.mark.parametrize(
    "told",
    [
        "System has not been booted with systemd as init system (PID 1). Can't operate.",
        "Failed to connect to bus: No such file or directory",
    ],
)
async def test_hostnamectl_without_systemd_is_done_without(do: Do, system: PretendedSystem, told: str) -> None:
    system.install("hostnamectl", f'echo "{told}" >&2; exit 1')

    assert (await do("node.hostname.update", hostname="new-name")).unwrap() == NEW

    assert (system.name, system.kept_hostname()) == ("new-name", "new-name")


async def test_a_refusal_of_hostnamectl_is_a_failure(do: Do, system: PretendedSystem) -> None:
    system.install("hostnamectl", 'echo "Could not set static hostname: Invalid static hostname" >&2; exit 1')

    answer = await do("node.hostname.update", hostname="new-name")

    assert answer.status is osapi.SlotStatus.FAILED
    assert "hostnamectl refused the name (status 1): Could not set static hostname: Invalid" in answer.error
    assert system.name == "old-name"


@pytest.mark.parametrize(
    "told",
    [
        "Could not set static hostname: Access denied",
        "Could not set pretty hostname: Interactive authentication required.",
        "Failed to set hostname: Operation not permitted",
    ],
)
async def test_without_the_rights_for_hostnamectl_it_is_skipped(do: Do, system: PretendedSystem, told: str) -> None:
    system.install("hostnamectl", f'echo "{told}" >&2; exit 1')

    answer = await do("node.hostname.update", hostname="new-name")

    assert (answer.status, answer.error, answer.changed) == (
        osapi.SlotStatus.SKIPPED,
        f"the agent may not name this host ({told}); run it as root",
        False,
    )
    assert (system.name, system.hostname_file.exists()) == ("old-name", False)


async def test_without_the_rights_for_the_kernel_it_is_skipped(do: Do, system: PretendedSystem) -> None:
    system.refuses = PermissionError(errno.EPERM, "Operation not permitted")

    answer = await do("node.hostname.update", hostname="new-name")

    assert (answer.status, answer.error) == (
        osapi.SlotStatus.SKIPPED,
        "the agent may not name this host (Operation not permitted); run it as root",
    )
    assert not system.hostname_file.exists()


async def test_without_the_rights_for_the_file_it_is_skipped_and_the_old_name_stays(
    do: Do, system: PretendedSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def protected(name: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(system, "keep_hostname", protected)

    answer = await do("node.hostname.update", hostname="new-name")

    assert (answer.status, "(Read-only file system)" in answer.error) == (osapi.SlotStatus.SKIPPED, True)
    assert system.name == "old-name"


async def test_when_the_file_cannot_be_written_the_old_name_stays(
    do: Do, system: PretendedSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(system, "keep_hostname", full)

    answer = await do("node.hostname.update", hostname="new-name")

    assert "No space left on device" in answer.error
    assert system.name == "old-name"


async def test_a_file_that_is_mounted_is_written_in_place(
    system: PretendedSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(path: Path, target: Path) -> Path:
        raise OSError(errno.EBUSY, "Device or resource busy")

    system.hostname_file.write_text("old-name\n", encoding="ascii")
    monkeypatch.setattr(Path, "replace", busy)

    system.keep_hostname("new-name")

    assert system.kept_hostname() == "new-name"
    assert sorted(path.name for path in system.folder.iterdir()) == ["bin", "hostname"]


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(
    system: PretendedSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    system.hostname_file.write_text("old-name\n", encoding="ascii")
    monkeypatch.setattr(Path, "replace", refuse)

    with pytest.raises(PermissionError):
        system.keep_hostname("new-name")

    assert system.kept_hostname() == "old-name"
    assert sorted(path.name for path in system.folder.iterdir()) == ["bin", "hostname"]


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a_b", "a..b", "_any", "a\n", "x" * 64, "x." * 32 + "xx"])
async def test_a_name_that_is_none_is_refused_before_it_is_sent(do: Do, name: str) -> None:
    with pytest.raises(osapi.InvalidPayloadError, match="name "):
        await do("node.hostname.update", hostname=name)


async def test_what_a_fact_stands_for_is_checked_on_the_host(do: Do, system: PretendedSystem) -> None:
    answer = await do("node.hostname.update", hostname="@@fact.x")

    assert "InvalidNameError: name '@fact.x': holds '@'" in answer.error
    assert system.name == "old-name"


@pytest.mark.parametrize("name", ["a", "Web-01.Example.com", "x" * 63])
def test_names_that_linux_takes(name: str) -> None:
    assert HostnameUpdate(hostname=name).hostname == name
