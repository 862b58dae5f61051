"""Files that the frames of a drive should have, and a check that they exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError


def look_for_files(
    root: Path,
    drive: str,
    frames: Sequence[layout.FrameId],
    whole: bool,
    add: Callable[[str, str, str, str], None],
) -> list[layout.FrameId]:
    """Look for every file of a drive's frames.

    Args:
        root: the data set's folder.
        drive: its name.
        frames: its frames.
        whole: whether it has one sound file for all frames.
        add: called with level, drive, kind and path of each missing file.

    Returns:
        Frames that have the RGB picture and the sound; other pictures may be missing.
    """
    topics = _topics(root / drive)
    expected = _modalities(root, frames, whole, topics)
    usable = []
    for frame in frames:
        sounds = layout.sound_paths(root, frame)
        needed = [layout.picture_path(root, frame, 'rgb')]
        needed += sounds if sounds[0].exists() or not whole else []
        optional = [layout.picture_path(root, frame, kind) for kind in expected if kind != 'rgb']
        unusable = 0
        for path in (*needed, *optional):
            if not path.exists():
                kind = 'sound' if path.parent.name == 'audio' else path.parent.name
                # A vehicle's cameras have different rates, so a frame may lack a near picture.
                level = 'warning' if path in optional and topics else 'error'
                add(level, drive, f'missing file: {kind}', str(path))
            elif path.stat().st_size == 0:
                add('error', drive, 'empty file', str(path))
            else:
                continue
            unusable += path in needed
        if not unusable:
            usable.append(frame)
    return usable


def _topics(folder: Path) -> tuple[str, ...]:
    """Modalities requested from a bag; none for a drive that does not come from a bag."""
    try:
        topics = layout.read_parameters(folder).get('topics')
    except AvdetError:
        return ()
    return tuple(topics) if isinstance(topics, dict) else ()


def _modalities(
    root: Path, frames: Sequence[layout.FrameId], whole: bool, topics: tuple[str, ...]
) -> list[str]:
    """Modalities that a drive should have: none of cameras that its vehicle does not have."""
    return [
        kind
        for kind in layout.PICTURES
        if whole
        or kind in ('rgb', *topics)
        or any(layout.picture_path(root, frame, kind).exists() for frame in frames)
    ]
