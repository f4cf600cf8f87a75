"""Which sequences a stream keeps for each subject, in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from osapi_memory.subject_index import matcher

if TYPE_CHECKING:
    from collections.abc import Sequence


class BySubject:
    """Sequences by subject, oldest first.

    A job's notification is the only message on its subject, so one sequence is kept as a bare number; a deque takes
    its place from the second on. Taking off either end is O(1); from the middle, which only an early TTL or a removal
    by sequence does, it is linear in that subject's messages.
    """

    __slots__ = ("_sequences",)

    def __init__(self) -> None:
        self._sequences: dict[str, int | deque[int]] = {}

    def add(self, subject: str, sequence: int) -> None:
        """Append a sequence, which is greater than all before."""
        kept = self._sequences.get(subject)
        if kept is None:
            self._sequences[subject] = sequence
        elif isinstance(kept, int):
            self._sequences[subject] = deque((kept, sequence))
        else:
            kept.append(sequence)

    def discard(self, subject: str, sequence: int) -> None:
        """Remove a sequence that is kept."""
        kept = self._sequences[subject]
        if isinstance(kept, int):
            del self._sequences[subject]
            return
        if kept[0] == sequence:
            kept.popleft()
        else:
            kept.remove(sequence)
        if len(kept) == 1:
            self._sequences[subject] = kept[0]

    def count(self, subject: str) -> int:
        """Return how many sequences a subject has."""
        return len(self.of(subject))

    def of(self, subject: str) -> Sequence[int]:
        """Return the sequences of a subject, oldest first."""
        kept = self._sequences.get(subject)
        if kept is None:
            return ()
        return (kept,) if isinstance(kept, int) else kept

    def matching(self, pattern: str) -> list[int]:
        """Return the sequences of all subjects that match, in order."""
        if "*" not in pattern and ">" not in pattern:
            return list(self.of(pattern))
        test = matcher(pattern)
        return sorted(seq for subject in self._sequences if test(subject) for seq in self.of(subject))

    def newest(self, pattern: str) -> int:
        """Return the newest sequence among the subjects that match, 0 if there is none."""
        if "*" not in pattern and ">" not in pattern:
            kept = self.of(pattern)
            return kept[-1] if kept else 0
        test = matcher(pattern)
        return max((self.of(subject)[-1] for subject in self._sequences if test(subject)), default=0)
