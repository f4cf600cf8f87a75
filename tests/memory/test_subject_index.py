from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from osapi.errors import InvalidSubjectError
from osapi.rules.subjects import check_subject, matches
from osapi_memory.subject_index import SubjectIndex, matcher

subjects = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    tokens = draw(st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3))
    if draw(st.booleans()):
        tokens.append(">")
    return ".".join(tokens) if draw(st.integers(0, 9)) else ">"


@given(st.lists(st.tuples(patterns(), st.integers(0, 3))), subjects)
def test_match_gives_each_value_once_for_each_pattern_that_matches(pairs: list[tuple[str, int]], subject: str) -> None:
    index: SubjectIndex[int] = SubjectIndex()
    for pattern, value in pairs:
        index.add(pattern, value)
    wanted = sorted(value for pattern, value in set(pairs) if matches(pattern, subject))
    assert sorted(index.match(subject)) == wanted
    assert sorted(index.match(subject)) == wanted  # from the cache


class IndexMachine(RuleBasedStateMachine):
    """Adding and removing, against a set of pairs."""

    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.index: SubjectIndex[int] = SubjectIndex(cached=2)
        self.model: set[tuple[str, int]] = set()

    @rule(target=pairs, pattern=patterns(), value=st.integers(0, 2))
    def add(self, pattern: str, value: int) -> tuple[str, int]:
        self.index.add(pattern, value)
        self.model.add((pattern, value))
        return pattern, value

    @rule(target=pairs, pair=pairs)
    def remove(self, pair: tuple[str, int]) -> object:
        self.index.remove(*pair)
        self.model.discard(pair)
        return multiple()  # pyright: ignore[reportUnknownVariableType]

    @rule(pattern=patterns(), value=st.integers(0, 2))
    def remove_perhaps(self, pattern: str, value: int) -> None:
        self.index.remove(pattern, value)
        self.model.discard((pattern, value))

    @rule(subject=subjects)
    def match(self, subject: str) -> None:
        wanted = sorted(value for pattern, value in self.model if matches(pattern, subject))
        assert sorted(self.index.match(subject)) == wanted

    @invariant()
    def size(self) -> None:
        assert len(self.index) == len(self.model)

    def teardown(self) -> None:
        for pair in self.model:
            self.index.remove(*pair)
        assert self.index.is_bare()


TestIndexMachine = IndexMachine.TestCase


def test_results_are_cached_within_a_bound() -> None:
    index: SubjectIndex[str] = SubjectIndex(cached=2)
    index.add("a.*", "x")
    first = index.match("a.1")
    assert index.match("a.2") is first  # what no pattern looks at makes no difference
    index.match("b.1")
    index.match("c.1")
    assert index.match("a.1") == ("x",)
    assert index.match("a.1") is not first


@given(st.lists(patterns(), min_size=1, max_size=3), subjects)
def test_tester_tells_what_matches(some: list[str], subject: str) -> None:
    assert matcher(*some)(subject) == any(matches(pattern, subject) for pattern in some)


@given(st.text(alphabet="ab.*> \n\x00\x7fé", max_size=6))
def test_tester_refuses_what_is_not_well_formed(subject: str) -> None:
    try:
        check_subject(subject)
    except InvalidSubjectError:
        assert not matcher(">")(subject)
        assert not matcher("a.>", "*.b", "b")(subject)
    else:
        assert matcher(">")(subject)
