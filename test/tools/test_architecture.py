"""The architecture picture is compared with the imports in the code."""

from __future__ import annotations

import re

import architecture
from import_graph import LEVEL, ROOT, room_arrows


def drawn_arrows() -> dict[str, set[str]]:
    """Return the arrows between rooms in the picture."""
    found: dict[str, set[str]] = {room: set() for room in LEVEL}
    picture = architecture.PICTURE.read_text(encoding='utf-8')
    for above, below in re.findall(r'<title>([\w+]+) to ([\w+]+)</title>', picture):
        for room in above.split('+'):
            found[room] |= set(below.split('+'))
    return found


def test_picture_matches_the_output_of_its_command():
    drawn = architecture.PICTURE.read_text(encoding='utf-8')
    assert drawn == architecture.draw(), 'stale: run python tools/architecture.py'


def test_every_import_is_drawn_as_an_arrow_or_implied():
    arrows = drawn_arrows()
    together = {room: set(box.rooms) for box in architecture.boxes() for room in box.rooms}
    for room, others in room_arrows().items():
        reached, waiting = set(), [room]
        while waiting:
            for below in arrows[waiting.pop()] - reached:
                reached.add(below)
                waiting.append(below)
        assert others <= reached | together[room], room


def test_architecture_page_shows_the_picture():
    page = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
    assert 'images/architecture.svg' in page
    assert architecture.PICTURE.stat().st_size < 1_000_000


def test_removed_import_removes_its_arrow(monkeypatch):
    arrows = room_arrows()
    assert '<title>bags to messages</title>' in architecture.draw()
    arrows['bags'].discard('messages')
    monkeypatch.setattr(architecture, 'room_arrows', lambda: arrows)
    assert '<title>bags to messages</title>' not in architecture.draw()
