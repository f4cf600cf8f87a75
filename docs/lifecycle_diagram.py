"""The diagram of a slot's life: a column for each state, an arrow for each move of `MOVES`."""

from __future__ import annotations

from osapi.rules.lifecycle import MOVES, TERMINAL
from osapi.rules.records import SlotStatus

_COLUMN = 120
_ROW = 34
_TOP = 70


def draw() -> str:
    """Return the diagram as SVG."""
    # `untrusted` is how a record reads, not where a slot can be.
    states = [state for state in SlotStatus if state is not SlotStatus.UNTRUSTED]
    middle = {state: _COLUMN // 2 + number * _COLUMN for number, state in enumerate(states)}
    width = _COLUMN * len(states)
    height = _TOP + _ROW * len(MOVES) + 10
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            ' font-family="sans-serif" font-size="13">'
        ),
        "<title>The states of a slot, and the moves between them</title>",
        (
            '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z"/></marker></defs>'
        ),
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for state, x in middle.items():
        fill = "#dddddd" if state in TERMINAL else "#d5e8ff"
        lines += [
            f'<line x1="{x}" y1="40" x2="{x}" y2="{height - 10}" stroke="#bbbbbb" stroke-dasharray="3 4"/>',
            f'<rect x="{x - 52}" y="12" width="104" height="28" rx="6" fill="{fill}" stroke="#555555"/>',
            f'<text x="{x}" y="31" text-anchor="middle">{state}</text>',
        ]
    for row, ((before, move), after) in enumerate(MOVES.items()):
        lines.append(_arrow(f"{before}: {move}: {after}", move, middle[before], middle[after], _TOP + _ROW * row))
    return "\n".join([*lines, "</svg>\n"])


def _arrow(title: str, name: str, start: int, end: int, y: int) -> str:
    if start == end:
        path = f"M{start},{y} h32 v14 h-32"
        text = f'<text x="{start + 38}" y="{y + 12}">{name}</text>'
    else:
        path = f"M{start},{y + 8} H{end}"
        text = f'<text x="{start + (10 if end > start else -10)}" y="{y + 3}" {_ANCHOR[end > start]}>{name}</text>'
    return f'<g><title>{title}</title><path d="{path}" fill="none" stroke="black" marker-end="url(#head)"/>{text}</g>'


_ANCHOR = {True: 'text-anchor="start"', False: 'text-anchor="end"'}
