"""Draw the rooms of the package and the arrows between them: python tools/architecture.py.

The picture is drawn from the imports in the code, so it cannot become outdated; a test compares
docs/images/architecture.svg with the output of this tool. An arrow that follows from two others is
left out: if nodes imports bags and bags imports audio, there is none from nodes to audio.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
import sys
import textwrap

sys.path.insert(0, str(Path(__file__).resolve().parent))

from import_graph import PACKAGE, ROOMS, ROOT, room_arrows, tree_of

PICTURE = ROOT / 'docs' / 'images' / 'architecture.svg'
WIDTH, GAP = 236, 26
LINE, ROW_GAP = 17, 40
TITLE = 24
FONT = 'font-family="DejaVu Sans, Verdana, sans-serif"'
COLOURS = {'training': '#fde8d2', 'nodes': '#d9ebd6', 'messages': '#d9ebd6'}
"""The only rooms that import torch or rclpy; all others are `PLAIN`."""
PLAIN = '#eaf0f8'


@dataclass(eq=False)
class Box:
    """One room, all single modules of one level, or a bend of a long arrow.

    Attributes:
        rooms: names of the rooms inside; none for a bend.
        row: 0 at the top.
        lines: text below the title.
        x: centre, pixels.
        up: boxes or bends in the row above with an arrow to this one.
        down: boxes or bends in the row below to which this one has an arrow.
    """

    rooms: tuple[str, ...]
    row: int
    lines: list[str] = field(default_factory=list)
    x: float = 0.0
    up: list[Box] = field(default_factory=list)
    down: list[Box] = field(default_factory=list)

    @property
    def width(self) -> float:
        """Width in pixels; a bend takes little room."""
        return WIDTH if self.rooms else 10

    @property
    def height(self) -> float:
        """Height in pixels."""
        return TITLE + LINE * len(self.lines) + 8


def first_sentence(room: str) -> str:
    """Describe a room by the first sentence of its docstring."""
    path = PACKAGE / room / '__init__.py'
    path = path if path.exists() else PACKAGE / f'{room}.py'
    text = ast.get_docstring(tree_of(path)) or ''
    return ' '.join(text.split('\n\n')[0].split()).split('. ')[0].rstrip('.')


def boxes() -> list[Box]:
    """Make one box for each folder, and one for all single modules of a level."""
    found = []
    for row, names in enumerate(reversed(ROOMS)):
        folders = sorted(name for name in names if (PACKAGE / name).is_dir())
        single = tuple(sorted(names - set(folders)))
        for name in folders:
            lines = textwrap.wrap(first_sentence(name), 35)
            inner = sorted(p.name for p in (PACKAGE / name).iterdir() if p.is_dir())
            inner = [part for part in inner if not part.startswith('_')]
            if inner:
                lines += textwrap.wrap('inside: ' + ', '.join(inner), 35)
            found.append(Box((name,), row, lines))
        if len(single) == 1:
            found.append(Box(single, row, textwrap.wrap(first_sentence(single[0]), 35)))
        elif single:
            found.append(Box(single, row, textwrap.wrap(', '.join(single), 35)))
    return found


def box_arrows(found: list[Box]) -> set[tuple[int, int]]:
    """Return the arrows between boxes, by number, without those that follow from others."""
    number = {room: index for index, box in enumerate(found) for room in box.rooms}
    arrows = {(number[a], number[b]) for a, others in room_arrows().items() for b in others}
    arrows = {(a, b) for a, b in arrows if a != b}
    below: dict[int, set[int]] = {index: set() for index in range(len(found))}
    for index in sorted(below, key=lambda i: -found[i].row):
        for a, b in arrows:
            if a == index:
                below[index] |= {b} | below[b]
    return {
        (a, b)
        for a, b in arrows
        if not any(b in below[other] for start, other in arrows if start == a)
    }


def place(found: list[Box], arrows: set[tuple[int, int]]) -> list[list[Box]]:
    """Arrange boxes and bends in rows and choose each x so that arrows cross and bend little."""
    rows: list[list[Box]] = [[] for _ in ROOMS]
    for box in found:
        rows[box.row].append(box)
    for a, b in sorted(arrows):
        above = found[a]
        for row in range(above.row + 1, found[b].row + 1):
            below = found[b] if row == found[b].row else Box((), row)
            if below is not found[b]:
                rows[row].append(below)
            above.down.append(below)
            below.up.append(above)
            above = below
    for row in rows:
        for index, box in enumerate(row):
            box.x = index * 60.0
    for turn in range(60):
        downwards = turn % 2 == 0
        for row in rows if downwards else rows[::-1]:
            for box in row:
                near = box.up if downwards else box.down
                near = near or box.down or box.up
                if near:
                    box.x = sum(other.x for other in near) / len(near)
            row.sort(key=lambda box: box.x)
            separate(row)
    left = min(box.x - box.width / 2 for row in rows for box in row)
    for row in rows:
        for box in row:
            box.x += GAP - left
    return rows


def separate(row: list[Box]) -> None:
    """Move overlapping boxes of one row apart, each as little as possible."""
    if not row:
        return
    wanted = [box.x for box in row]
    steps = [0.0]
    for one, two in pairwise(row):
        steps.append(steps[-1] + (one.width + two.width) / 2 + GAP)
    # Non-decreasing sequence nearest to the wanted positions, less the room that each box needs.
    groups: list[list[float]] = []
    for want, step in zip(wanted, steps, strict=True):
        groups.append([want - step, 1])
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            value, count = groups.pop()
            last = groups[-1]
            last[0] = (last[0] * last[1] + value * count) / (last[1] + count)
            last[1] += count
    offsets = [value for value, count in groups for _ in range(int(count))]
    for box, offset, step in zip(row, offsets, steps, strict=True):
        box.x = offset + step


def draw() -> str:
    """Return the picture as SVG text."""
    found = boxes()
    rows = place(found, box_arrows(found))
    tops, y = [], 64.0
    heights = [max((box.height for box in row if box.rooms), default=0.0) for row in rows]
    for height in heights:
        tops.append(y)
        y += height + ROW_GAP
    width = max(box.x + box.width / 2 for row in rows for box in row) + GAP
    size = f'width="{width:.0f}" height="{y:.0f}"'
    title = 'Rooms of avdet_ros: an arrow means "imports from", and none climbs'
    legend = 'orange: torch; green: rclpy; arrows that follow from others are left out'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:.0f} {y:.0f}">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8"',
        ' markerHeight="8" orient="auto"><path d="M0 0.5 L8 4 L0 7.5 z" fill="#5b6b80"/></marker>',
        '</defs>',
        f'<rect {size} fill="white"/>',
        text(GAP, 26, title, 16),
        text(GAP, 46, legend, 12),
    ]
    for box in found:
        for below in box.down:
            out.append(arrow(box, below, tops, heights))
    for box in found:
        x, top = box.x - WIDTH / 2, tops[box.row]
        fill = COLOURS.get(box.rooms[0], PLAIN)
        out.append(
            f'<rect x="{x:.0f}" y="{top:.0f}" width="{WIDTH}" height="{box.height:.0f}" rx="6" '
            f'fill="{fill}" stroke="#8493a8"/>'
        )
        lines, title = list(box.lines), box.rooms[0]
        if len(box.rooms) > 1:
            title = 'single modules'
        out.append(text(x + 10, top + 18, title, 14, 'bold'))
        out += [text(x + 10, top + 36 + LINE * i, line, 11) for i, line in enumerate(lines)]
    return '\n'.join([*out, '</svg>', ''])


def arrow(box: Box, below: Box, tops: list[float], heights: list[float]) -> str:
    """Draw one arrow from a box down through its bends."""
    points = [(box.x, tops[box.row] + box.height)]
    ends = [box, below]
    while not ends[-1].rooms:
        bend = ends[-1]
        points += [(bend.x, tops[bend.row] - 8), (bend.x, tops[bend.row] + heights[bend.row] + 8)]
        ends.append(bend.down[0])
    end = ends[-1]
    points.append((end.x + end_offset(ends[-2], end), tops[end.row] - 1))
    points[0] = (box.x + start_offset(box, below), points[0][1])
    path = f'M{points[0][0]:.0f} {points[0][1]:.0f}'
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += f' C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}'
    names = f'{"+".join(box.rooms)} to {"+".join(end.rooms)}'
    return (
        f'<path d="{path}" fill="none" stroke="#5b6b80" stroke-width="1.3" '
        f'marker-end="url(#tip)"><title>{names}</title></path>'
    )


def start_offset(box: Box, below: Box) -> float:
    """Return where an arrow leaves the lower edge, beside the others, relative to the centre."""
    return _fan(sorted(box.down, key=lambda other: other.x), below)


def end_offset(above: Box, box: Box) -> float:
    """Return where an arrow reaches the upper edge, beside the others, relative to the centre."""
    return _fan(sorted(box.up, key=lambda other: other.x), above)


def _fan(others: list[Box], one: Box) -> float:
    step = min(24.0, (WIDTH - 40) / max(len(others), 1))
    return (others.index(one) - (len(others) - 1) / 2) * step


def text(x: float, y: float, words: str, size: int, weight: str = 'normal') -> str:
    """Draw one line of text."""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" {FONT} '
        f'fill="#1c2733">{escape(words)}</text>'
    )


if __name__ == '__main__':
    PICTURE.write_text(draw(), encoding='utf-8')
    print(PICTURE.relative_to(ROOT))
