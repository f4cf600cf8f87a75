"""The keys below `nats`: the broker, and what lies in it."""

from __future__ import annotations

from typing import Literal

from osapi_cli.configuration.kinds import Duration, Limit, OwnPort, Part, Period, Replicas, Secret, Storage, Text


class ServerUser(Part, frozen=True, kw_only=True):
    """Who may connect to our server."""

    username: Text
    password: Secret


class ServerAuth(Part, frozen=True, kw_only=True):
    """Who may connect to our server; `nkeys` are public keys."""

    type: Literal["none", "user_pass", "nkey", "token"] = "none"
    users: tuple[ServerUser, ...] = ()
    nkeys: tuple[str, ...] = ()
    token: Secret = ""


class Server(Part, frozen=True, kw_only=True):
    """The NATS server of `osapi nats server start`."""

    host: Text = "127.0.0.1"
    port: OwnPort = 4222
    store_dir: Text = ".nats/jetstream"
    namespace: str = ""
    auth: ServerAuth = ServerAuth()


class Stream(Part, frozen=True, kw_only=True):
    """The stream of notifications."""

    name: Text = "JOBS"
    subjects: Text = "jobs.>"
    max_age: Period = 24 * 3600.0
    max_msgs: Limit = -1
    storage: Storage = "file"
    replicas: Replicas = 1
    discard: Literal["old", "new"] = "old"


class Kv(Part, frozen=True, kw_only=True):
    """The buckets of jobs and of their results."""

    bucket: Text = "job-queue"
    response_bucket: Text = "job-responses"
    ttl: Period = 3600.0
    max_bytes: Limit = 100 * 1024 * 1024
    storage: Storage = "file"
    replicas: Replicas = 1


class Dlq(Part, frozen=True, kw_only=True):
    """The stream of jobs that were given up."""

    max_age: Duration = 7 * 24 * 3600.0
    max_msgs: Limit = 1000
    storage: Storage = "file"
    replicas: Replicas = 1


class Registry(Part, frozen=True, kw_only=True):
    """The bucket of agents."""

    bucket: Text = "agent-registry"
    ttl: Period = 30.0
    storage: Storage = "file"
    replicas: Replicas = 1


class Facts(Part, frozen=True, kw_only=True):
    """The bucket of what hosts are."""

    bucket: Text = "agent-facts"
    ttl: Period = 300.0
    storage: Storage = "file"
    replicas: Replicas = 1


class State(Part, frozen=True, kw_only=True):
    """The bucket of what agents are told to do: drain, for one."""

    bucket: Text = "agent-state"
    storage: Storage = "file"
    replicas: Replicas = 1


class Audit(Part, frozen=True, kw_only=True):
    """The stream of who did what."""

    stream: Text = "AUDIT"
    subject: Text = "audit"
    max_age: Duration = 30 * 24 * 3600.0
    max_bytes: Limit = 50 * 1024 * 1024
    storage: Storage = "file"
    replicas: Replicas = 1


class Nats(Part, frozen=True, kw_only=True):
    """The broker and what lies in it."""

    server: Server = Server()
    stream: Stream = Stream()
    kv: Kv = Kv()
    dlq: Dlq = Dlq()
    registry: Registry = Registry()
    facts: Facts = Facts()
    state: State = State()
    audit: Audit = Audit()
