"""Import graph of the package's modules, and the rooms that they belong to.

A room is a folder of `avdet_ros` or a module next to those folders. Used by the picture of the
package (tools/architecture.py) and by the test of the import rule (test/test_package.py).
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'avdet_ros'

ROOMS = (
    {'errors', 'former_modules', 'quoting', 'process', 'progress'},
    {'files', 'fields', 'registry', 'dds_domain', 'paths'},
    {'image_codec', 'rig'},
    {'audio', 'drawing', 'rig_edit', 'rig_match'},
    {'detection'},
    {'dataset', 'tracking'},
    {'simulation'},
    {'sources'},
    {'parameters', 'topics'},
    {'messages', 'graph'},
    {'bags', 'supervisor', 'rviz'},
    {'checkup'},
    {'nodes', 'evaluation', 'launch_actions'},
    {'bench'},
    {'training'},
    {'cli'},
)
"""Rooms of the package from the bottom up: each imports only from lower rooms and itself."""

INNER_ROOMS = {
    'training': (
        {'column_layers', 'registries', 'tensor_files'},
        {'recipes'},
        {'boxes', 'efficientdet', 'fitting'},
        {'data'},
        {'any_array', 'losses', 'networks', 'results'},
        {'pretexts', 'teachers'},
        {'sounding'},
        {'run'},
        {'studies'},
        {'labelled_frames'},  # former place of a module of data, for scripts
    ),
    'evaluation': (
        {'runs'},
        {'boxes'},
        {'bearings', 'reports'},
        {'bearing_study', 'sounding', 'tracks'},
        {'comparison', 'ground', 'live', 'scores'},
        {'evaluation_run'},
    ),
}
"""Rooms inside a room, under the same rule."""

LEVEL = {name: level for level, names in enumerate(ROOMS) for name in names}
INNER_LEVEL = {
    f'{room}.{name}': level
    for room, levels in INNER_ROOMS.items()
    for level, names in enumerate(levels)
    for name in names
}


def modules() -> list[Path]:
    """Return all files of the package."""
    return sorted(PACKAGE.rglob('*.py'))


def room_of(module: str) -> str:
    """Return the room of a module, e.g. ``audio`` for ``avdet_ros.audio.clock``."""
    return module.split('.')[1]


def inner_room_of(module: str) -> str:
    """Return the inner room, e.g. ``training.run`` for ``avdet_ros.training.run.train``; or ''."""
    parts = module.split('.')[1:3]
    return '.'.join(parts) if parts[0] in INNER_ROOMS and parts[-1] != '__init__' else ''


def tree_of(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding='utf-8'))


@cache
def module_arrows() -> dict[str, set[str]]:
    """Return the imports of each module, anywhere in its code; do not change the result."""
    names = {'.'.join(path.relative_to(ROOT).with_suffix('').parts): path for path in modules()}
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        found[name] = set()
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('avdet_ros'):
                for alias in node.names:
                    whole = f'{node.module}.{alias.name}'
                    found[name].add(whole if whole in names else str(node.module))
            elif isinstance(node, ast.Import):
                found[name] |= {a.name for a in node.names if a.name.startswith('avdet_ros')}
        found[name] -= {name, 'avdet_ros'}
    return found


def room_arrows() -> dict[str, set[str]]:
    """Return the rooms from which each room imports."""
    found: dict[str, set[str]] = {room: set() for room in LEVEL}
    for name, others in module_arrows().items():
        if '.' in name and room_of(name) in LEVEL:
            found[room_of(name)] |= {room_of(other) for other in others}
    return {room: others - {room} for room, others in found.items()}
