from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

import osapi
from osapi_agent import command, groups
from osapi_agent.command import CommandResult, Exec, Shell
from osapi_agent.errors import InvalidCommandError
from osapi_agent.output import ROOM
from tests.agent_app.pretended import PretendedSystem, eventually, is_dead

if TYPE_CHECKING:
    from pathlib import Path

    from osapi_memory import Broker
    from tests.agent_app.conftest import Do


def result(answer: osapi.Response) -> CommandResult:
    data = answer.unwrap()
    assert isinstance(data, CommandResult)
    return data


async def pids_in(path: Path, count: int) -> list[int]:
    """Wait until a command has written so many numbers to a file."""

    def numbers() -> list[int]:
        return [int(line) for line in path.read_text(encoding="ascii").splitlines(keepends=True) if line.endswith("\n")]

    await eventually(lambda: path.exists() and len(numbers()) == count)
    return numbers()


async def test_a_program_gets_its_arguments_as_they_are(do: Do) -> None:
    answer = await do("command.exec.run", command="echo", args=["$HOME; *", "b c"])

    assert answer.changed
    told = result(answer)
    assert (told.stdout, told.stderr, told.exit_code, told.truncated) == ("$HOME; * b c\n", "", 0, False)
    assert told.duration_ms >= 0


async def test_a_line_goes_through_the_shell(do: Do) -> None:
    told = result(await do("command.shell.run", command="echo out | cat; echo err >&2; exit 7"))

    assert (told.stdout, told.stderr, told.exit_code) == ("out\n", "err\n", 7)


@pytest.mark.parametrize(
    ("operation", "line"),
    [("command.exec.run", {"command": "pwd"}), ("command.shell.run", {"command": "pwd"})],
)
async def test_it_runs_where_it_is_told(do: Do, system: PretendedSystem, operation: str, line: dict[str, str]) -> None:
    told = result(await do(operation, **line, cwd=str(system.folder)))

    assert told.stdout == f"{system.folder}\n"


async def test_the_secrets_of_the_agent_are_not_passed_on(do: Do, system: PretendedSystem) -> None:
    told = result(await do("command.exec.run", command="env"))

    assert f"FOLDER={system.folder}" in told.stdout
    assert "OSAPI_" not in told.stdout
    assert "hunter2" not in told.stdout


async def test_the_environment_of_this_process_loses_the_secrets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSAPI_NATS_TOKEN", "hunter2")
    monkeypatch.setenv("HARMLESS", "yes")

    from osapi_agent import System  # noqa: PLC0415 - the real one, asked for nothing else

    environment = System().environment
    assert environment["HARMLESS"] == "yes"
    assert "OSAPI_NATS_TOKEN" not in environment


async def test_an_argument_may_refer_to_a_fact(
    osapi_broker: Broker, osapi_operations: osapi.Operations, osapi_client: osapi.Client
) -> None:
    async with (
        osapi_broker.connect() as transport,
        osapi.Agent(transport, osapi_operations, hostname="web-01", facts={"place": "/"}),
    ):
        handle = await osapi_client.submit("command.exec.run", Exec(command="pwd", cwd="@fact.place"), target="web-01")

        assert result((await handle.result())["web-01"]).stdout == "/\n"


async def test_what_a_command_writes_is_read_while_it_runs(
    osapi_broker: Broker, osapi_operations: osapi.Operations, osapi_client: osapi.Client, system: PretendedSystem
) -> None:
    go = system.folder / "go"
    line = f"echo one; echo two >&2; while [ ! -e {go} ]; do sleep 0.01; done; echo three"
    async with (
        osapi_broker.connect() as transport,
        osapi.Agent(transport, osapi_operations, hostname="web-01"),
    ):
        handle = await osapi_client.submit("command.shell.run", Shell(command=line), target="web-01")
        read = {"stdout": "", "stderr": ""}
        async for chunk in handle.output():
            read[chunk.stream] += chunk.text
            if read == {"stdout": "one\n", "stderr": "two\n"}:
                assert not handle.done
                go.touch()

        assert read == {"stdout": "one\nthree\n", "stderr": "two\n"}
        assert result((await handle.result())["web-01"]).stdout == read["stdout"]


async def test_output_does_not_need_a_run(system: PretendedSystem) -> None:
    recorder = osapi.Recorder()
    job = osapi.Job(id="1", operation="", target="", host="", attempt=1, created=0.0, finish_by=0.0, reporter=recorder)

    await command.offer(system)["command.exec.run"].handler(job, Exec(command="echo", args=("hello",)))

    assert recorder.output == [("stdout", b"hello\n")]


async def test_a_flood_is_kept_in_part(do: Do) -> None:
    told = result(await do("command.exec.run", command="head", args=["-c", "2000000", "/dev/zero"]))

    assert told.truncated
    assert told.exit_code == 0
    assert len(msgspec.json.encode(told.stdout)) <= ROOM + 2


async def test_two_binary_floods_can_still_be_stored(do: Do) -> None:
    line = "head -c 1000000 /dev/urandom; head -c 1000000 /dev/urandom >&2"

    answer = await do("command.shell.run", command=line)

    assert result(answer).truncated
    assert len(msgspec.json.encode(answer.data)) < 2 * ROOM + 1000


async def test_a_timeout_is_a_failure_that_tells_the_output_so_far(do: Do) -> None:
    answer = await do("command.shell.run", command="echo so far; echo $$ >&2; sleep 300", timeout=1)

    assert answer.status is osapi.SlotStatus.FAILED
    assert "did not end within 1 s and was killed; stdout ends 'so far\\n', stderr ends '" in answer.error
    assert is_dead(int(answer.error.rpartition("stderr ends '")[2].split("\\n")[0]))
    silent = await do("command.shell.run", command="sleep 300", timeout=1)
    assert silent.error.endswith("did not end within 1 s and was killed; it wrote nothing")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"command": "missing"}, "program 'missing' is not on this host"),
        ({"command": "/etc"}, "program '/etc' cannot be started: Permission denied"),
        ({"command": "echo", "cwd": "/missing"}, "directory '/missing' cannot be entered: No such file or directory"),
        ({"command": "echo", "args": ["\N{EURO SIGN}" * 100_000]}, "cannot be started: Argument list too long"),
    ],
)
async def test_what_cannot_be_started_is_a_failure(do: Do, data: dict[str, Any], told: str) -> None:
    answer = await do("command.exec.run", **data)

    assert answer.status is osapi.SlotStatus.FAILED
    assert told in answer.error


@pytest.mark.parametrize(
    ("operation", "data", "told"),
    [
        ("command.exec.run", {"cwd": "/"}, "missing required field `command`"),
        ("command.exec.run", {"command": ""}, "$.command"),
        ("command.exec.run", {"command": "a" * 5000}, "$.command"),
        ("command.exec.run", {"command": "a\0b"}, "has a NUL in it"),
        ("command.exec.run", {"command": "a", "args": ["secret\0"]}, "command 'a': has a NUL in it"),
        ("command.exec.run", {"command": "a", "args": "b"}, "$.args"),
        ("command.exec.run", {"command": "a", "args": [1]}, "$.args[0]"),
        ("command.exec.run", {"command": "a", "args": ["b"] * 1001}, "$.args"),
        ("command.exec.run", {"command": "a", "args": ["b" * 131_072]}, "$.args[0]"),
        ("command.exec.run", {"command": "a", "cwd": "relative"}, "write an absolute path"),
        ("command.exec.run", {"command": "a", "cwd": "/a\0"}, "has a NUL in it"),
        ("command.exec.run", {"command": "a", "timeout": 0}, "$.timeout"),
        ("command.exec.run", {"command": "a", "timeout": 301}, "$.timeout"),
        ("command.exec.run", {"command": "a", "timeout": 1.5}, "$.timeout"),
        ("command.exec.run", {"command": "a", "arg": []}, "unknown field `arg`"),
        ("command.shell.run", {"command": ""}, "$.command"),
        ("command.shell.run", {"command": "a\0"}, "has a NUL in it"),
        ("command.shell.run", {"command": "a", "args": []}, "unknown field `args`"),
        ("command.shell.run", {"command": "a", "timeout": 0}, "$.timeout"),
        ("command.shell.run", {"command": "a", "cwd": ""}, "write an absolute path"),
    ],
)
async def test_bad_input_is_refused_before_it_is_sent(do: Do, operation: str, data: Any, told: str) -> None:
    with pytest.raises(osapi.InvalidPayloadError) as refusal:
        await do(operation, **data)

    assert told in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_what_is_made_in_python_is_checked_as_well() -> None:
    with pytest.raises(InvalidCommandError):
        Exec(command="a\0")
    with pytest.raises(InvalidCommandError):
        Shell(command="a", cwd="b")


def test_the_policy_outlasts_the_longest_command_and_starts_it_once(system: PretendedSystem) -> None:
    for operation in (offered := command.offer(system)):
        policy = offered[operation].policy
        assert policy is not None
        assert policy.timeout >= 300 + groups.GRACE
        assert (policy.attempts, policy.takeovers) == (1, 0)


async def test_cancelling_the_handler_kills_the_whole_group(system: PretendedSystem) -> None:
    shell = command.offer(system)["command.shell.run"].handler
    file = system.folder / "pids"
    job = osapi.Job(id="1", operation="", target="", host="", attempt=1, created=0.0, finish_by=0.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(shell, job, Shell(command=f"echo $$ > {file}; sleep 300 & echo $! >> {file}; wait")))
        pids = await pids_in(file, 2)
        nursery.cancel_scope.cancel()

    assert [is_dead(pid) for pid in pids] == [True, True]


async def test_an_agent_that_stops_kills_what_it_runs(
    osapi_broker: Broker, osapi_operations: osapi.Operations, system: PretendedSystem
) -> None:
    file = system.folder / "pids"
    settings = osapi.Settings(drain=0.0)
    async with osapi_broker.connect() as transport, osapi.Client(transport, osapi_operations) as client:
        async with osapi.Agent(transport, osapi_operations, hostname="web-01", settings=settings):
            line = f"echo $$ > {file}; sleep 300 & echo $! >> {file}; wait"
            handle = await client.submit("command.shell.run", Shell(command=line), target="web-01")
            pids = await pids_in(file, 2)

        assert [is_dead(pid) for pid in pids] == [True, True]
        # It is not given back: nobody knows what it had done.
        answer = (await handle.result())["web-01"]
        assert answer.status is osapi.SlotStatus.FAILED
        assert "web-01 stopped" in answer.error


async def test_a_job_that_expires_kills_what_it_runs(
    osapi_client: osapi.Client, osapi_agent: osapi.Agent, system: PretendedSystem
) -> None:
    file = system.folder / "pids"

    handle = await osapi_client.submit(
        "command.shell.run", Shell(command=f"echo $$ > {file}; sleep 300"), target="test-01", within=1.0
    )
    pids = await pids_in(file, 1)

    assert (await handle.result())["test-01"].status is osapi.SlotStatus.EXPIRED
    await eventually(lambda: not osapi_agent.active)
    assert is_dead(pids[0])
