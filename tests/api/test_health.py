"""The rows under /health."""

from __future__ import annotations

import osapi_api
from osapi_api.app import EXTENSION
from tests.api.conftest import Rest, fleet, token_of


async def test_the_probes_need_no_token_and_answer_without_the_prefix(api: Rest) -> None:
    for prefix in ("/api", ""):
        rest = Rest(api.app, api.client, api.transport, prefix)
        assert (await rest("GET", "/health", token="")).body == {"status": "ok"}
        assert (await rest("GET", "/health?probe=1", token="bad")).status == 200
        assert (await rest("GET", "/health/ready", token="")).body == {"status": "ready"}
        assert (await rest("GET", "/health/status", token="")).status == 401


async def test_liveness_does_not_need_the_broker_and_readiness_does(autojump_clock: object, api: Rest) -> None:
    api.transport.disconnect()
    assert (await api("GET", "/health", token="")).body == {"status": "ok"}
    ready = await api("GET", "/health/ready", token="")
    assert ready.status == 503
    assert ready.body["status"] == "not_ready"
    assert "broker" in ready.body["error"]
    assert ready.headers["Retry-After"] == "1"
    api.transport.reconnect()
    assert (await api("GET", "/health/ready", token="")).status == 200


async def test_readiness_ends_when_the_server_drains(api: Rest) -> None:
    shared = api.app.extensions[EXTENSION]
    assert len(shared) == 1
    shared[0].draining = True
    ready = await api("GET", "/health/ready", token="")
    assert (ready.status, ready.body) == (503, {"status": "not_ready", "error": "the server is stopping"})
    assert (await api("GET", "/health")).status == 200


async def test_status_tells_what_there_is(api: Rest) -> None:
    await api("GET", "/node/_all/hostname")
    await api("POST", "/node/web-01/command/exec", {"command": "fail"})
    answer = await api("GET", "/health/status", token=token_of("read"))

    assert answer.status == 200
    found = answer.body
    assert found["status"] == "ok"
    assert found["components"] == {name: {"status": "ok"} for name in ("nats", "kv", "jobs", "registry")}
    assert found["nats"] == {"url": "memory://", "version": found["version"]}
    assert [(stream["name"], stream["messages"]) for stream in found["streams"]] == [("JOBS", 2)]
    assert found["object_stores"] == []
    assert [(b["name"], b["keys"]) for b in found["kv_buckets"]] == [
        ("job-queue", 2),
        ("job-responses", 3),
        ("agent-registry", 2),
    ]
    assert found["consumers"]["total"] == 3
    assert {consumer["name"] for consumer in found["consumers"]["consumers"]} == {"any", "agent-web-01", "agent-db-01"}
    assert found["jobs"] == {"total": 2, "unprocessed": 0, "processing": 0, "completed": 1, "failed": 1, "dlq": 0}
    assert (found["agents"]["total"], found["agents"]["ready"]) == (2, 2)
    assert found["agents"]["agents"][0] == {
        "hostname": "db-01",
        "labels": {"group": "db.dev"},
        "registered": found["agents"]["agents"][0]["registered"],
    }
    assert [line["hostname"] for line in found["registry"]] == ["db-01", "web-01"]


async def test_status_tells_what_it_could_not_read(autojump_clock: object, api: Rest) -> None:
    api.transport.disconnect()
    answer = await api("GET", "/health/status")
    api.transport.reconnect()

    assert answer.status == 503
    assert answer.body["status"] == "degraded"
    assert {component["status"] for component in answer.body["components"].values()} == {"error"}
    assert "streams" not in answer.body
    assert answer.body["nats"]["url"] == "memory://"
    assert answer.body["agents"]["total"] == 2


async def test_a_broker_that_says_nothing_is_not_waited_for(autojump_clock: object) -> None:
    async with fleet(options=osapi_api.Options(health_timeout=0.5)) as api:
        api.transport.disconnect()
        jobs = (await api("GET", "/health/status")).body["components"]["jobs"]
        api.transport.reconnect()

    assert jobs == {"status": "error", "error": "the broker did not answer within 0.5 s"}
