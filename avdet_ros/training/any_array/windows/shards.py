"""A set of windows of any arrays (format 3) on disk: what made it, and its shards.

Only the network's inputs are kept of a window: coherences in steps of 1 / `FULL` and the mean
level of the live microphones, 205 kB, or 92 kB with twelve pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import pair_count_of
from avdet_ros.detection.angles import EYE_HEIGHT_M
from avdet_ros.errors import AvdetError
from avdet_ros.files import map_member, read_bounded
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.any_array.bearing_first import mean_level
from avdet_ros.training.any_array.box_labels import ANGLES

MOTION = ('ahead_mps', 'camera_heading_deg', 'temperature_c')
"""What a detector may know about a window's moment; NaN where a set lacks it."""

FULL = 127.0
"""Stored value of a coherence of 1."""

LARGEST_CARD = 1 << 20
"""Largest accepted size of a set's windows.json, bytes."""


def front_end_of(folder: Path) -> FrontEnd:
    """Return the front end that made a set's features, from ``windows.json`` or the default.

    In a set labelled by teachers, the set's own description is nested in theirs
    (`training.run.watched_windows`).

    Raises:
        AvdetError: the file cannot be read, or does not name the features of a front end.
    """
    path = folder / 'windows.json'
    if not path.exists():
        return FrontEnd()
    try:
        about = json.loads(read_bounded(path, LARGEST_CARD, 'the description of a set'))
        names = about.get('windows', about)['features']
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AvdetError(
            f'{path}: expected the description of a set of windows, found {one_line(error)}'
        ) from error
    front_end = FrontEnd(pair_count=pair_count_of(names))
    if tuple(names) != front_end.feature_names:
        raise AvdetError(
            f'{path}: features: expected those of a front end, found {len(names)} names'
        )
    return front_end


def read_shard(
    path: Path,
    pairs: Sequence[tuple[int, int]],
    prefix: str,
    geometry: str,
    device: torch.device,
) -> dict[str, Tensor]:
    """Read the windows of a shard in the form that `ArrayStore` keeps.

    Args:
        path: of the shard.
        pairs: of microphones whose coherences the shard must have.
        prefix: of the labels that are wanted, see `LABELS_AT`.
        geometry: 'rig' for the positions in the rig file, 'true' for the real ones.
        device: where the arrays go.

    Returns:
        arrays of all windows by name.

    Raises:
        AvdetError: it cannot be read, or is of another format.
    """
    names = ['features', 'count', 'range_m', *ANGLES]
    names[1:] = [prefix + name for name in names[1:]]
    rig_prefix = '' if geometry == 'true' else 'rig_'
    names += [
        rig_prefix + 'microphones_m',
        rig_prefix + 'array_yaw_deg',
        'alive',
        'seed',
        'eye_height_m',
    ]
    try:
        with np.load(path, allow_pickle=False) as shard:
            optional = ('seen_deg', 'unsure', *MOTION)
            present = {name: shard[name] for name in optional if name in shard}
            raw = {name: shard[name] for name in names if name != 'features'}
            delays_s = shard['delay_s'] if geometry == 'true' else None
            extra = {name: shard[prefix + name] for name in ('level_db', 'visible_fraction')}
        # Mapped, not read: skipping the archive's checksum is several times as fast.
        raw['features'] = np.array(map_member(path, 'features'))
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise AvdetError(
            f'{path}: expected a shard of windows of format 3, found {one_line(error)}'
        ) from error
    if not np.allclose(eye_m := raw.pop('eye_height_m'), EYE_HEIGHT_M):
        raise AvdetError(
            f'{path}: eye_height_m: expected {EYE_HEIGHT_M:g} as in training, found '
            f'{eye_m.flat[0]:g}'
        )
    expected = MICROPHONES + 2 * len(pairs)
    if raw['features'].shape[1] != expected:
        raise AvdetError(
            f'{path}: expected {expected} features of {len(pairs)} pairs of microphones, found '
            f'{raw["features"].shape[1]}'
        )
    count, slots = raw[prefix + 'range_m'].shape
    arrays = {**raw, **extra, **_with_defaults(present, count, slots)}
    arrays['delay_s'] = (
        np.zeros((count, MICROPHONES), np.float32) if delays_s is None else delays_s
    )
    on_device = {name: torch.from_numpy(values).to(device) for name, values in arrays.items()}
    features = on_device['features'].float()
    alive = on_device['alive'].bool()
    coherence = features[:, MICROPHONES:].clamp(-1, 1).transpose(1, 2)
    return {
        'level_db': mean_level(features[:, :MICROPHONES], alive.float()).half(),
        'coherence': (coherence * FULL).round().to(torch.int8),
        'angles_deg': torch.stack([on_device[prefix + name] for name in ANGLES], dim=-1).float(),
        'range_m': on_device[prefix + 'range_m'].float(),
        'count': on_device[prefix + 'count'].long(),
        'microphones_m': on_device[rig_prefix + 'microphones_m'].float(),
        'yaw_deg': on_device[rig_prefix + 'array_yaw_deg'].float(),
        'alive': alive,
        'late_s': on_device['delay_s'].float(),
        'seed': on_device['seed'].long(),
        'level_db_of': on_device['level_db'].float(),
        'visible_fraction': on_device['visible_fraction'],
        'seen_deg': on_device['seen_deg'].float(),
        'unsure': on_device['unsure'].bool(),
        **{name: on_device[name].float() for name in MOTION},
    }


def _with_defaults(
    present: dict[str, np.ndarray], count: int, slots: int
) -> dict[str, np.ndarray]:
    """Fields that not all shards have: labelled sector, unsure labels, motion; else defaults."""
    everywhere = np.tile(np.array([180, -180], np.float32), (count, 1))
    nothing = np.full(count, np.nan, np.float32)
    return {
        'seen_deg': present.get('seen_deg', everywhere),
        'unsure': present.get('unsure', np.zeros((count, slots), bool)),
        **{name: present.get(name, nothing) for name in MOTION},
    }
