from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.configs import check_consumer
from osapi.errors import InvalidKeyError, InvalidSubjectError
from osapi.rules import keys, subjects
from osapi.rules.labels import MAX_LABELS, Label, label_matches, normalise_labels
from osapi.rules.names import MAX_NAME_BYTES
from osapi.rules.records import ANY_SLOT
from osapi.transport import ConsumerConfig
from tests.rules.strategies import JOB_ID, any_text, anything, hosts, label_sets, label_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.rules.records import Kind

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_NAME_BYTES // 4)
# The escape itself, and what looks like one.
escapes = st.text("a=2Ee6\u00e9", min_size=1, max_size=6)
kinds: st.SearchStrategy[Literal["query", "modify"]] = st.sampled_from(("query", "modify"))
LONGEST_HOST = ".".join(["a" * 8] * 22)
LONGEST_LABEL = f"{'K' * 99}:{'V' * 100}"


# --- Tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("web-01.example.com", "web-01=2Eexample=2Ecom"),
        ("group:web.Dev", "group=3Aweb=2E=44ev"),
        ("\u00e9", "=C3=A9"),
        ("=", "=3D"),
        ("_any", "=5Fany"),
    ],
)
def test_tokens(text: str, token: str) -> None:
    assert keys.encode_token(text) == token
    assert keys.decode_token(token) == text


@given(names | escapes)
def test_a_token_decodes_to_its_name_and_is_valid_everywhere(name: str) -> None:
    token = keys.encode_token(name)
    assert keys.decode_token(token) == name
    assert "." not in token
    subjects.check_subject(token)
    subjects.check_key(token)


@given(escapes, escapes)
def test_two_names_never_share_a_token(one: str, other: str) -> None:
    assert (keys.encode_token(one) == keys.encode_token(other)) == (one == other)


@given(escapes | any_text | st.text("=2EFC39A", max_size=9))
def test_decoding_takes_exactly_what_encoding_writes(token: str) -> None:
    try:
        name = keys.decode_token(token)
    except InvalidKeyError:
        return
    assert keys.encode_token(name) == token


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "is 0 bytes long"), ("\u00e9" * 101, "is 202 bytes long"), ("a\ud800", "holds a lone surrogate")],
)
def test_names_that_have_no_token(text: str, problem: str) -> None:
    with pytest.raises(InvalidKeyError, match=problem):
        keys.encode_token(text)


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", "is not an encoded name"),
        ("Web", "is not an encoded name"),
        ("a.b", "is not an encoded name"),
        ("=2e", "is not an encoded name"),
        ("=2", "is not an encoded name"),
        ("=61", "escapes what needs no escape"),
        ("=C3", "does not decode to UTF-8"),
        ("=ED=A0=80", "does not decode to UTF-8"),
        ("a" * 201, "is 201 bytes long"),
    ],
)
def test_tokens_that_no_name_has(token: str, problem: str) -> None:
    with pytest.raises(InvalidKeyError, match=problem):
        keys.decode_token(token)


# --- Keys --------------------------------------------------------------------------------------------------


def test_keys() -> None:
    assert keys.job_key(JOB_ID) == f"jobs.{JOB_ID}"
    assert keys.parse_job_key(f"jobs.{JOB_ID}") == JOB_ID
    assert keys.response_key("c1", JOB_ID, "_any") == f"c1.{JOB_ID}._any"
    assert keys.response_key("c1", JOB_ID, "web.a") == f"c1.{JOB_ID}.web=2Ea"
    assert keys.agent_key("web.a") == "web=2Ea"


@given(names, hosts | st.just(ANY_SLOT))
def test_a_response_key_says_whose_it_is(client: str, slot: str) -> None:
    origin = keys.encode_token(client)
    key = keys.response_key(origin, JOB_ID, slot)
    subjects.check_key(key)
    assert keys.parse_response_key(key) == (origin, JOB_ID, slot)
    assert subjects.matches(keys.response_pattern(origin), key)
    assert subjects.matches(keys.slots_pattern(origin, JOB_ID), key)
    assert subjects.matches(keys.job_response_pattern(JOB_ID), key)


@given(hosts | st.just(ANY_SLOT), st.integers(1, 200), st.integers(0, 2_000_000))
def test_what_lies_beside_a_record_is_only_found_with_the_whole_job(slot: str, attempt: int, number: int) -> None:
    record = keys.response_key("c1", JOB_ID, slot)
    beside = {keys.output_key(record, attempt, number), keys.part_key(record, attempt, number)}
    assert len(beside) == 2
    for key in beside:
        subjects.check_key(key)
        assert subjects.matches(keys.job_response_pattern(JOB_ID), key)
        assert not subjects.matches(keys.response_pattern("c1"), key)
        assert not subjects.matches(keys.slots_pattern("c1", JOB_ID), key)


@pytest.mark.parametrize("key", ["", "jobs", "jobs.", "job.1", "jobs.*", "jobs.1.2", "jobs.G"])
def test_other_keys_than_a_jobs_are_refused(key: str) -> None:
    with pytest.raises(InvalidKeyError):
        keys.parse_job_key(key)


@pytest.mark.parametrize(
    "key", ["", "c1", "c1.1", "c1.1.web.a", "*.1.web", "c1.*.web", "c1.1.>", "c1.1.=5Fany", "c1.1.=5Fb", ".1.a"]
)
def test_other_keys_than_a_responses_are_refused(key: str) -> None:
    with pytest.raises(InvalidKeyError):
        keys.parse_response_key(key)


@given(any_text | st.text("ac1.=5F_ny", max_size=9).map("c.1.".__add__))
def test_parsing_takes_exactly_what_the_builder_writes(key: str) -> None:
    try:
        parts = keys.parse_response_key(key)
    except InvalidKeyError:
        return
    assert keys.response_key(*parts) == key


BUILDERS: list[Callable[[str], str]] = [
    keys.job_key,
    keys.job_response_pattern,
    lambda job_id: keys.slots_pattern("c1", job_id),
    keys.job_subjects,
    lambda job_id: keys.response_key("c1", job_id, "a"),
    lambda job_id: keys.schedule_subject(job_id, "a"),
    lambda job_id: keys.notification_subject("query", "any", "", job_id),
]


@pytest.mark.parametrize("job_id", ["", "*", ">", "a.b", "g", "A", "a\n", "a" * 37])
@pytest.mark.parametrize("build", BUILDERS)
def test_no_builder_takes_an_id_that_could_be_a_pattern(build: Callable[[str], str], job_id: str) -> None:
    with pytest.raises(InvalidKeyError, match="is not the id of a job"):
        build(job_id)
    with pytest.raises(InvalidKeyError, match="is not the id of a rollout; give the id that start returned"):
        keys.rollout_key(job_id)


@pytest.mark.parametrize("origin", ["", "*", "a.b", ">", "_any", "A"])
def test_an_origin_is_a_token(origin: str) -> None:
    with pytest.raises(InvalidKeyError, match="is not a token"):
        keys.response_pattern(origin)
    with pytest.raises(InvalidKeyError, match="is not a token"):
        keys.slots_pattern(origin, JOB_ID)
    with pytest.raises(InvalidKeyError, match="is not a token"):
        keys.response_key(origin, JOB_ID, "a")


def test_a_slot_is_any_or_a_name() -> None:
    with pytest.raises(InvalidKeyError, match="write _any or a hostname"):
        keys.response_key("c1", JOB_ID, "_all")


# --- Subjects ----------------------------------------------------------------------------------------------


def test_subjects() -> None:
    assert keys.notification_subject("query", "any", "", JOB_ID) == f"jobs.query.any._.{JOB_ID}"
    assert keys.notification_subject("modify", "host", "web.a", JOB_ID) == f"jobs.modify.host.web=2Ea.{JOB_ID}"
    assert keys.notification_subject("query", "label", "g:a.b", JOB_ID) == f"jobs.query.label.g=3Aa=2Eb.{JOB_ID}"
    assert keys.notification_subject("query", "any-label", "g:a", JOB_ID) == f"jobs.query.any-label.g=3Aa.{JOB_ID}"
    assert keys.group_notice_subject("g:a") == "jobs.group.label.g=3Aa._"
    assert keys.group_filter("g:a.b") == "jobs.*.any-label.g=3Aa=2Eb.*"
    assert keys.group_consumer_name("g:a.b") == "any-g=3Aa=2Eb"
    assert keys.schedule_subject(JOB_ID, "_any") == f"jobs.later.{JOB_ID}._any"
    assert keys.schedule_subject(JOB_ID, "web.a") == f"jobs.later.{JOB_ID}.web=2Ea"
    assert keys.consumer_name("web.a") == "agent-web=2Ea"
    assert keys.agent_filters("web.a", {"g": "a.b"}) == (
        "jobs.*.all._.*",
        "jobs.*.host.web=2Ea.*",
        "jobs.*.label.g=3Aa.*",
        "jobs.*.label.g=3Aa=2Eb.*",
    )


addressed = st.one_of(
    st.tuples(st.sampled_from(("any", "all")), st.just("")),
    st.tuples(st.just("host"), hosts),
    st.tuples(st.sampled_from(("label", "any-label")), label_texts),
)


@given(kinds, addressed)
def test_a_notification_says_what_it_is_of(
    kind: Kind, addressed: tuple[Literal["any", "all", "host", "label", "any-label"], str]
) -> None:
    subject = keys.notification_subject(kind, *addressed, JOB_ID)
    subjects.check_subject(subject)
    assert subject.count(".") == 4
    assert keys.parse_notification_subject(subject) == (kind, *addressed, JOB_ID)
    assert subjects.matches(keys.job_subjects(JOB_ID), subject)
    assert subjects.matches(keys.any_filter(), subject) == (addressed[0] == "any")
    assert subjects.matches(keys.ANY_GROUP_FILTER, subject) == (addressed[0] == "any-label")
    assert not subjects.matches(keys.GROUP_NOTICES, subject)


@pytest.mark.parametrize(
    "subject",
    ["", "jobs", "jobs.query.any.a.1", "jobs.query.host._.1", "jobs.query.any._.*", "jobs.delete.any._.1", "x"],
)
def test_other_subjects_than_a_notifications_are_refused(subject: str) -> None:
    with pytest.raises((InvalidSubjectError, InvalidKeyError)):
        keys.parse_notification_subject(subject)


@given(anything | st.text("a.1=5F_", max_size=9).map("jobs.query.host.".__add__))
def test_parsing_takes_exactly_the_subjects_that_the_builder_writes(subject: str) -> None:
    try:
        parts = keys.parse_notification_subject(subject)
    except (InvalidSubjectError, InvalidKeyError):
        return
    assert keys.notification_subject(*parts) == subject


@given(hosts, label_sets, label_texts, kinds)
def test_an_agent_hears_of_a_label_when_one_of_its_own_matches(
    host: str, declared: dict[str, str], wanted: str, kind: Kind
) -> None:
    subject = keys.notification_subject(kind, "label", wanted, JOB_ID)
    heard = any(subjects.matches(own, subject) for own in keys.agent_filters(host, declared))
    assert heard == label_matches(Label(wanted), declared)


@given(hosts, label_sets, label_texts, kinds)
def test_an_agent_hears_the_notices_to_its_groups_and_their_jobs_only_from_their_consumers(
    host: str, declared: dict[str, str], wanted: str, kind: Kind
) -> None:
    own = keys.agent_filters(host, declared)
    notice, job = keys.group_notice_subject(wanted), keys.notification_subject(kind, "any-label", wanted, JOB_ID)
    assert any(subjects.matches(pattern, notice) for pattern in own) == label_matches(Label(wanted), declared)
    assert not any(subjects.matches(pattern, job) for pattern in own)
    assert subjects.matches(keys.group_filter(wanted), job)
    assert subjects.matches(keys.GROUP_NOTICES, notice)
    assert not subjects.matches(keys.group_filter(wanted), notice)


@given(
    label_texts | st.text("abAB:._-", min_size=60, max_size=200), label_texts | st.text("aA", min_size=90, max_size=200)
)
def test_no_two_groups_share_a_consumer_and_each_name_fits(one: str, other: str) -> None:
    assert (keys.group_consumer_name(one) == keys.group_consumer_name(other)) == (one == other)
    check_consumer(ConsumerConfig(name=keys.group_consumer_name(one)), ())


def test_the_longest_labels_of_groups_still_differ() -> None:
    names = {keys.group_consumer_name(f"{'K' * 99}:{'V' * 99}{end}") for end in "VW"}
    assert [len(name) for name in names] == [255, 255]


@given(hosts, hosts, label_sets, kinds)
def test_an_agent_hears_of_its_own_host_and_of_all_but_not_of_any(
    host: str, other: str, declared: dict[str, str], kind: Kind
) -> None:
    def heard(subject: str) -> bool:
        return any(subjects.matches(own, subject) for own in keys.agent_filters(host, declared))

    assert heard(keys.notification_subject(kind, "host", other, JOB_ID)) == (host == other)
    assert heard(keys.notification_subject(kind, "all", "", JOB_ID))
    assert not heard(keys.notification_subject(kind, "any", "", JOB_ID))
    assert not heard(keys.schedule_subject(JOB_ID, host))


@given(hosts, label_sets)
def test_no_two_filters_overlap_and_equal_labels_give_equal_filters(host: str, declared: dict[str, str]) -> None:
    filters = keys.agent_filters(host, normalise_labels(declared))
    assert not any(subjects.overlaps(one, other) for one, other in combinations(filters, 2))
    assert filters == keys.agent_filters(host, normalise_labels(dict(reversed(declared.items()))))
    for own in filters:
        subjects.check_filter(own)


def test_the_longest_names_still_fit_the_wire() -> None:
    job_id = "a" * 36
    assert len(LONGEST_HOST) == 197
    assert len(LONGEST_LABEL) == MAX_NAME_BYTES
    worst = "\u00e9" * (MAX_NAME_BYTES // 2)
    subjects.check_subject(keys.notification_subject("modify", "label", LONGEST_LABEL, job_id))
    subjects.check_subject(keys.schedule_subject(job_id, worst))
    subjects.check_key(keys.response_key("a" * 64, job_id, worst))
    assert len(keys.consumer_name(".".join(["a" * 7] * 24 + ["a" * 8]))) <= 255
    declared = normalise_labels({f"k{i}": ".".join("a" * 16) for i in range(MAX_LABELS)})
    assert len(keys.agent_filters("a", declared)) == 2 + 16 * MAX_LABELS
