"""What JetStream was seen to do with KV, one bullet after the other, on the core."""

from __future__ import annotations

import pytest

from osapi.errors import ConflictError, InvalidSettingError, LimitReachedError, PayloadTooLargeError
from osapi.transport import BucketConfig, Entry
from osapi_memory.bucket_core import BucketCore, WatchCore


def bucket(
    *, history: int = 1, ttl: float = 0, marker_ttl: float = 0, max_bytes: int = -1, max_value_size: int = -1
) -> BucketCore:
    return BucketCore(
        BucketConfig(
            name="b",
            history=history,
            ttl=ttl,
            marker_ttl=marker_ttl,
            max_bytes=max_bytes,
            max_value_size=max_value_size,
        )
    )


def watched(core: BucketCore, *patterns: str) -> list[Entry]:
    told: list[Entry] = []
    core.watch(WatchCore(patterns, told.append, lambda: None))
    return told


def test_revisions_belong_to_the_bucket_and_markers_use_them() -> None:
    core = bucket()
    writes = [
        core.put("a", b"", 1),
        core.put("b", b"", 1),
        core.delete("a", 1),
        core.purge("b", 1),
        core.put("a", b"", 1),
    ]
    assert writes == [1, 2, 3, 4, 5]


def test_a_refused_write_uses_no_revision() -> None:
    core = bucket()
    core.put("a", b"", 1)
    with pytest.raises(ConflictError):
        core.update("a", b"", 7, 1)
    assert core.put("a", b"", 1) == 2


def test_cas_counts_markers_and_expects_0_after_an_unmarked_expiry() -> None:
    core = bucket()
    core.put("a", b"", 1, ttl=1)
    core.delete("a", 1)
    with pytest.raises(ConflictError, match="expected revision 0, the newest is 2"):
        core.update("a", b"", 0, 1)
    assert core.update("a", b"", 2, 1, ttl=1) == 3
    with pytest.raises(ConflictError, match="the newest is 0"):
        core.update("a", b"", 3, 2)
    assert core.update("a", b"", 0, 2) == 4


def test_create_succeeds_over_delete_purge_and_expiry_and_refuses_a_value() -> None:
    core = bucket(marker_ttl=5)
    core.create("a", b"", 1)
    with pytest.raises(ConflictError, match="the newest is 1"):
        core.create("a", b"", 1)
    core.delete("a", 1)
    core.create("a", b"", 1)
    core.purge("a", 1)
    core.create("a", b"", 1, ttl=1)
    assert core.create("a", b"", 2) == 7  # 6 is the expire marker


def test_delete_keeps_the_history_and_purge_leaves_one_marker() -> None:
    core = bucket(history=5)
    core.put("a", b"1", 1)
    core.delete("a", 1)
    assert [entry.change for entry in core.history("a", 1)] == ["put", "delete"]
    core.purge("a", 1)
    assert [entry.change for entry in core.history("a", 1)] == ["purge"]
    assert core.get("a", 1) is None


def test_deleting_or_purging_a_key_that_never_was_stores_a_marker() -> None:
    core = bucket()
    assert core.delete("a", 1) == 1
    assert core.purge("b", 1) == 2
    assert [entry.change for entry in core.newest((">",), 1)] == ["delete", "purge"]


@pytest.mark.parametrize("ttl", [0, -1, 0.5, True, "1"])
def test_a_ttl_below_a_second_or_in_parts_of_one_is_refused(ttl: int) -> None:
    core = bucket()
    with pytest.raises(InvalidSettingError, match="give whole seconds, 1 to"):
        core.put("a", b"", 1, ttl=ttl)
    with pytest.raises(InvalidSettingError):
        core.purge("a", 1, ttl=ttl)
    assert core.history("a", 1) == []


def test_max_age_caps_a_longer_ttl() -> None:
    core = bucket(ttl=3)
    core.put("a", b"", 1, ttl=100)
    assert core.get("a", 3.9) is not None
    assert core.get("a", 4) is None


def test_expiry_without_marker_ttl_is_silent() -> None:
    core = bucket()
    told = watched(core)
    core.put("a", b"", 1, ttl=1)
    core.advance(9)
    assert [entry.change for entry in told] == ["put"]


def test_expiry_with_marker_ttl_is_told_once_and_the_marker_goes_silently() -> None:
    core = bucket(marker_ttl=2)
    told = watched(core)
    core.put("a", b"x", 1, ttl=1)
    core.advance(9)
    assert told[1:] == [Entry("a", b"", 2, 2, "expire")]
    assert core.history("a", 9) == []


def test_expiry_of_a_delete_or_purge_marker_leaves_no_expire_marker() -> None:
    core = bucket(marker_ttl=2)
    told = watched(core)
    core.put("a", b"", 1)
    core.purge("a", 1, ttl=1)
    core.advance(9)
    assert [entry.change for entry in told] == ["put", "purge"]


def test_resurrection_of_the_older_value_when_the_newest_expires() -> None:
    core = bucket(history=2, marker_ttl=1)
    told = watched(core)
    core.put("a", b"old", 1)
    core.put("a", b"new", 1, ttl=1)
    assert core.get("a", 2) == Entry("a", b"old", 1, 1)
    assert len(told) == 2


def test_ttl_raise_to_the_marker_ttl_only_with_a_history() -> None:
    for history, last in ((1, 1.9), (2, 5.9)):
        core = bucket(history=history, marker_ttl=5)
        core.put("a", b"", 1, ttl=1)
        assert core.get("a", last) is not None
        assert core.get("a", last + 0.1) is None


def test_full_bucket_takes_what_is_no_larger_than_what_it_replaces() -> None:
    core = bucket(max_bytes=300)
    core.put("a", b"a" * 100, 1)
    core.put("b", b"b" * 100, 1)
    with pytest.raises(LimitReachedError, match="max_bytes is 300"):
        core.put("c", b"", 1)
    with pytest.raises(LimitReachedError):
        core.create("c", b"", 1)
    core.put("a", b"c" * 100, 1)
    with pytest.raises(LimitReachedError):
        core.put("a", b"c" * 101, 1)
    core.delete("a", 1)
    core.purge("b", 1)
    assert core.info(1).revision == 5


def test_headers_count_in_what_a_bucket_holds() -> None:
    core = bucket(max_bytes=150)
    core.put("a", b"a" * 60, 1)
    core.put("b", b"", 1)
    full = core.info(1)
    with pytest.raises(LimitReachedError):  # the revision that it compared is stored with it
        core.update("a", b"a" * 60, 1, 1)
    with pytest.raises(LimitReachedError):
        core.put("a", b"a" * 60, 1, ttl=5)
    with pytest.raises(LimitReachedError):  # a marker is larger than no value
        core.delete("b", 1)
    with pytest.raises(LimitReachedError):
        core.purge("b", 1)
    assert core.info(1) == full
    core.delete("a", 1)
    assert core.info(1).bytes == full.bytes - 60 + 4 + len("NATS/1.0\r\nKV-Operation: DEL\r\n\r\n")


def test_full_bucket_with_room_in_the_history_refuses_to_add_a_revision() -> None:
    core = bucket(history=2, max_bytes=50)
    core.put("a", b"", 1)
    with pytest.raises(LimitReachedError):
        core.put("a", b"", 1)


def test_a_value_above_max_value_size_is_refused() -> None:
    core = bucket(max_value_size=3)
    core.put("a", b"123", 1)
    with pytest.raises(PayloadTooLargeError, match="is 4 bytes; at most 3"):
        core.put("a", b"1234", 1)


def test_the_first_set_of_a_watch_is_in_order_of_revision_not_of_keys() -> None:
    core = bucket()
    for key in ("a", "c", "b", "a"):
        core.put(key, b"", 1)
    assert [(entry.key, entry.revision) for entry in core.newest((">",), 1)] == [("c", 2), ("b", 3), ("a", 4)]
    assert [entry.key for entry in core.newest(("a", "*"), 1)].count("c") == 1


def test_disjoint_patterns_of_a_watch_are_each_told() -> None:
    core = bucket()
    told = watched(core, "a", "b.*")
    for key in ("a", "b.x", "b", "c"):
        core.put(key, b"", 1)
    assert [entry.key for entry in told] == ["a", "b.x"]
    assert [entry.key for entry in core.newest(("a", "b.*", "z"), 1)] == ["a", "b.x"]


def test_unwatch_ends_the_telling() -> None:
    core = bucket()
    told: list[Entry] = []
    watch = WatchCore((), told.append, lambda: None)
    core.watch(watch)
    core.unwatch(watch)
    core.unwatch(watch)
    core.put("a", b"", 1)
    assert told == []


def test_the_oldest_revision_may_expire_before_the_newest() -> None:
    core = bucket(history=3)
    core.put("a", b"short", 1, ttl=1)
    core.put("a", b"long", 1)
    assert [entry.value for entry in core.history("a", 5)] == [b"long"]


def test_overwriting_does_not_pile_up_deadlines() -> None:
    core = bucket()
    for _ in range(5000):
        core.put("a", b"", 1, ttl=3600)
    assert core.deadlines < 1000
