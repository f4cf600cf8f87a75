"""Dispatch typed jobs to a fleet of agents: KV-first, on Trio, over any broker with buckets and streams."""

# The layout, from what a program touches to what it stands on:
#
#   client.py  agent.py  handle.py  operations.py     the public face
#   sweeper.py  detail.py  dead_letters.py            jobs that nobody ended, jobs as stored, what was given up
#   index.py  changes.py  following.py                all jobs at a glance, what happens, one job as it happens
#   rollouts.py                                       broadcasts in batches
#   schedules.py  scheduler.py                        jobs that come again
#   observing.py  tracing.py                          what a program may know of attempts, and of whose trace they are
#   roster.py  fleet.py  enrolments.py                who is there, who is away, and who waits to be accepted
#   settings.py  discovery.py                         what is shared, which backend
#   block.py  nursery.py                              what is there for the length of a block
#   flow/                                             the path of a job, one step a file:
#       submit -> notify -> claim -> execute -> respond -> collect, and settle or sweep when nobody answered
#   rules/                                            pure decisions: no I/O, no clock, no randomness
#   transport.py                                      what is needed of a broker, every guarantee numbered
#   conformance/                                      the same guarantees as a suite that any backend can run
#   errors.py                                         everything that is raised on purpose

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi.agent import Agent
    from osapi.changes import Changes
    from osapi.client import Client
    from osapi.dead_letters import DeadLetter, DeadLetters
    from osapi.detail import JobDetail
    from osapi.discovery import connect
    from osapi.enrolments import Applicant, Enrolments
    from osapi.errors import (
        AccessRefusedError,
        ClosedError,
        ConflictError,
        DisconnectedError,
        EnrolmentError,
        HostnameTakenError,
        IllegalTransitionError,
        InvalidInputError,
        InvalidKeyError,
        InvalidLabelError,
        InvalidNameError,
        InvalidPayloadError,
        InvalidReportError,
        InvalidSettingError,
        InvalidSubjectError,
        InvalidTargetError,
        JobFailedError,
        KeyFileError,
        KeyReusedError,
        LimitReachedError,
        MismatchError,
        MissingError,
        NoAgentsError,
        NotFoundError,
        OsapiError,
        PayloadTooLargeError,
        RecordError,
        Retry,
        Skip,
        TlsError,
        TransientError,
        TransportError,
        UncertainError,
        UnknownHostError,
        UnknownJobError,
        UnknownLetterError,
        UnknownOperationError,
        UnknownRolloutError,
        UnknownScheduleError,
        UnsupportedBrokerError,
        UntrustedAnswerError,
        UntrustedError,
    )
    from osapi.fleet import AgentDetail, Fleet
    from osapi.handle import JobHandle, Response
    from osapi.index import JobIndex
    from osapi.observing import Attempt, Observer
    from osapi.operations import Job, Operation, Operations
    from osapi.rollouts import Rollouts
    from osapi.rules.alerts import Notice
    from osapi.rules.changes import AgentChange, JobChange
    from osapi.rules.job_index import JobRow
    from osapi.rules.output import Chunk
    from osapi.rules.public_keys import PublicKey
    from osapi.rules.records import Event, JobStatus, Policy, Registration, SlotStatus
    from osapi.rules.reports import Recorder, Reporter
    from osapi.rules.rollout_records import Rollout, RolloutStatus
    from osapi.rules.schedule_records import Fired, Schedule, Timing, Work
    from osapi.rules.timeline import Moment
    from osapi.rules.vitals import Condition, HostMemory, Vitals
    from osapi.scheduler import Scheduler
    from osapi.schedules import ScheduleDetail, Schedules
    from osapi.settings import Settings
    from osapi.signer import Signer
    from osapi.sweeper import Sweeper
    from osapi.trust import Trust, TrustedKey

__all__ = [
    "AccessRefusedError",
    "Agent",
    "AgentChange",
    "AgentDetail",
    "Applicant",
    "Attempt",
    "Changes",
    "Chunk",
    "Client",
    "ClosedError",
    "Condition",
    "ConflictError",
    "DeadLetter",
    "DeadLetters",
    "DisconnectedError",
    "EnrolmentError",
    "Enrolments",
    "Event",
    "Fired",
    "Fleet",
    "HostMemory",
    "HostnameTakenError",
    "IllegalTransitionError",
    "InvalidInputError",
    "InvalidKeyError",
    "InvalidLabelError",
    "InvalidNameError",
    "InvalidPayloadError",
    "InvalidReportError",
    "InvalidSettingError",
    "InvalidSubjectError",
    "InvalidTargetError",
    "Job",
    "JobChange",
    "JobDetail",
    "JobFailedError",
    "JobHandle",
    "JobIndex",
    "JobRow",
    "JobStatus",
    "KeyFileError",
    "KeyReusedError",
    "LimitReachedError",
    "MismatchError",
    "MissingError",
    "Moment",
    "NoAgentsError",
    "NotFoundError",
    "Notice",
    "Observer",
    "Operation",
    "Operations",
    "OsapiError",
    "PayloadTooLargeError",
    "Policy",
    "PublicKey",
    "RecordError",
    "Recorder",
    "Registration",
    "Reporter",
    "Response",
    "Retry",
    "Rollout",
    "RolloutStatus",
    "Rollouts",
    "Schedule",
    "ScheduleDetail",
    "Scheduler",
    "Schedules",
    "Settings",
    "Signer",
    "Skip",
    "SlotStatus",
    "Sweeper",
    "Timing",
    "TlsError",
    "TransientError",
    "TransportError",
    "Trust",
    "TrustedKey",
    "UncertainError",
    "UnknownHostError",
    "UnknownJobError",
    "UnknownLetterError",
    "UnknownOperationError",
    "UnknownRolloutError",
    "UnknownScheduleError",
    "UnsupportedBrokerError",
    "UntrustedAnswerError",
    "UntrustedError",
    "Vitals",
    "Work",
    "connect",
]

# Where each public name is, if not among the errors: a program pays for what it uses, and for Trio when it needs it.
_HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "osapi.agent": ("Agent",),
    "osapi.changes": ("Changes",),
    "osapi.client": ("Client",),
    "osapi.dead_letters": ("DeadLetter", "DeadLetters"),
    "osapi.detail": ("JobDetail",),
    "osapi.discovery": ("connect",),
    "osapi.enrolments": ("Applicant", "Enrolments"),
    "osapi.fleet": ("AgentDetail", "Fleet"),
    "osapi.handle": ("JobHandle", "Response"),
    "osapi.index": ("JobIndex",),
    "osapi.observing": ("Attempt", "Observer"),
    "osapi.operations": ("Job", "Operation", "Operations"),
    "osapi.rollouts": ("Rollouts",),
    "osapi.rules.alerts": ("Notice",),
    "osapi.rules.changes": ("AgentChange", "JobChange"),
    "osapi.rules.job_index": ("JobRow",),
    "osapi.rules.output": ("Chunk",),
    "osapi.rules.public_keys": ("PublicKey",),
    "osapi.rules.records": ("Event", "JobStatus", "Policy", "Registration", "SlotStatus"),
    "osapi.rules.reports": ("Recorder", "Reporter"),
    "osapi.rules.rollout_records": ("Rollout", "RolloutStatus"),
    "osapi.rules.schedule_records": ("Fired", "Schedule", "Timing", "Work"),
    "osapi.rules.timeline": ("Moment",),
    "osapi.rules.vitals": ("Condition", "HostMemory", "Vitals"),
    "osapi.scheduler": ("Scheduler",),
    "osapi.schedules": ("ScheduleDetail", "Schedules"),
    "osapi.settings": ("Settings",),
    "osapi.signer": ("Signer",),
    "osapi.sweeper": ("Sweeper",),
    "osapi.trust": ("Trust", "TrustedKey"),
}
_HOME: Final = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # Else a name that is not there would be one of any type.

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOME.get(name, "osapi.errors")), name)
        return value


def __dir__() -> list[str]:
    """Name what is public."""
    return sorted(__all__)
