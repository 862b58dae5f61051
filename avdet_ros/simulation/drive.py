"""Simulated drives on disk, in the MAVD layout: see dataset/layout.py.

A drive is written into ``<drive>.part`` and renamed once it is complete, so a drive that
exists is whole. A killed run can be resumed; the missing drives are byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
import errno
from functools import partial
import json
import math
from pathlib import Path
import shutil
from typing import Any

import cv2
import numpy as np
import soundfile

from avdet_ros.audio.samples import to_int16
from avdet_ros.dataset import layout
from avdet_ros.dataset.depth_colours import BASELINE_M
from avdet_ros.dataset.odometry import write_odometry
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.rig import default_rig_path, load_rig
from avdet_ros.rig_match import rig_digest
from avdet_ros.simulation.ego_odometry import ego_odometry
from avdet_ros.simulation.pictures import Cameras, Conditions, Frame
from avdet_ros.simulation.pictures.thermal import COUNTS_PER_K
from avdet_ros.simulation.plan import DrivePlan, Plan, make_scene, plan_drives
from avdet_ros.simulation.recordings import load_recordings
from avdet_ros.simulation.road import Route
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.truth import Truth

JPEG_QUALITY = 92
PNG = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
"""Noisy 16-bit counts hardly repeat; without a search for repeats, files take half the time and
are smaller."""
RENDER_S = 5.0


def prepare(root: Path, plan: Plan, rig_path: Path | None = None) -> list[DrivePlan]:
    """Create the folder, or resume an interrupted run in it.

    Returns:
        The drives that are still missing.

    Raises:
        AvdetError: the folder holds other files or a run with other settings, or the disk has too
            little free space.
    """
    root = Path(root)
    settings = root / 'simulation.json'
    loaded = load_rig(rig_path)
    if plan.recordings:
        load_recordings(plan.recordings, loaded.sample_rate_hz)
    expected = {**asdict(plan), 'rig': rig_digest(loaded)}
    if settings.exists():
        try:
            found = dict(json.loads(settings.read_text(encoding='utf-8')))
        except (OSError, ValueError, TypeError) as error:
            raise AvdetError(f'{settings}: expected settings of a run, found {error}') from error
        # Settings newer than the folder had their default values in that run.
        found = {**asdict(Plan()), **found}
        differing = [name for name in expected if found.get(name) != expected[name]]
        if differing:
            name = differing[0]
            raise AvdetError(
                f'{root} holds a run with {name} {found.get(name)}: expected {expected[name]} '
                'to continue it; choose another folder or the same settings'
            )
    elif root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise AvdetError(
            f'{root}: expected a new or empty folder or an interrupted run, found other files'
        )
    missing = [d for d in plan_drives(plan) if not (root / d.name / layout.DONE).exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
        needed = plan.needed_bytes() * len(missing) // plan.drives
        if needed * 1.03 > free:
            raise AvdetError(
                f'{root}: expected {needed / 1e9:.1f} GB of free disk for {len(missing)} drives, '
                f'found {free / 1e9:.1f} GB'
            )
        if not settings.exists():
            _write(settings, (json.dumps(expected, indent=1) + '\n').encode())
    except OSError as error:
        reason = explain_os_error(error)
        raise AvdetError(f'{root}: expected a folder to write to, found: {reason}') from error
    return missing


def write_drive(
    root: Path,
    plan: Plan,
    drive: DrivePlan,
    rig_path: Path | None = None,
    frame_done: Callable[[], None] | None = None,
) -> None:
    """Write one drive.

    Args:
        root: the data set's folder.
        plan: plan of the run.
        drive: the drive to write.
        rig_path: rig file; None for the package's own.
        frame_done: called after each frame.

    Raises:
        AvdetError: the disk is full or not writable.
    """
    folder = Path(root) / drive.name
    part = folder.with_name(folder.name + '.part')
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _fill(part, plan, drive, rig_path, frame_done)
        (part / layout.DONE).write_text('complete\n', encoding='utf-8')
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except (OSError, soundfile.LibsndfileError) as error:
        number = getattr(error, 'errno', None)
        full = number in (errno.ENOSPC, errno.EDQUOT) or shutil.disk_usage(root).free < 1 << 20
        shutil.rmtree(part, ignore_errors=True)
        if full:
            raise AvdetError(
                f'{root}: the disk is full while writing {drive.name}: '
                'make room and run the same command again to continue'
            ) from error
        raise AvdetError(f'{part}: cannot write: {error}') from error


def _fill(
    part: Path,
    plan: Plan,
    drive: DrivePlan,
    rig_path: Path | None,
    frame_done: Callable[[], None] | None,
) -> None:
    scene, conditions = make_scene(plan, drive, rig_path)
    rate = scene.rig.sample_rate_hz
    shutil.copyfile(rig_path or default_rig_path(), part / 'rig.yaml')
    _write_parameters(part, plan, drive, scene, conditions)
    write_odometry(part, ego_odometry(scene, drive.start_ns))
    if plan.sound:
        sound = render_drive_sound(scene)
        soundfile.write(part / layout.DRIVE_SOUND, sound.T, rate, subtype='PCM_16', format='FLAC')
    if plan.clean_too:
        clean, _ = make_scene(plan, drive, rig_path, clean=True)
        quiet = render_drive_sound(clean)
        soundfile.write(part / 'drive_clean.flac', quiet.T, rate, subtype='PCM_16', format='FLAC')
    for folder in ('fl_rgb', 'fl_ir_aligned', 'fl_rgb_depth', 'depth_m', 'audio', 'truth'):
        (part / folder).mkdir()
    cameras = Cameras(scene, conditions)
    with (part / 'truth' / 'frames.jsonl').open('w', encoding='utf-8') as truth:
        for t_s in plan.times_s():
            frame_id = layout.make_id(part.name, drive.start_ns + round(t_s * 1e9))
            frame = cameras.frame(float(t_s))
            _write_pictures(part.parent, frame_id, frame)
            if plan.clips:
                _write_clips(part.parent, frame_id, sound, float(t_s), rate)
            line = truth_line(frame_id.stamp, scene, frame)
            truth.write(json.dumps(line, allow_nan=False) + '\n')
            if frame_done is not None:
                frame_done()


def render_drive_sound(scene: Scene) -> np.ndarray:
    """Render the sound of a whole drive, (8, n) int16, full scale 32768."""
    rate = scene.rig.sample_rate_hz
    total = round(scene.duration_s * rate)
    renderer = SoundRenderer(scene)
    out = np.empty((len(scene.rig.names), total), np.int16)
    step = round(RENDER_S * rate)
    for first in range(0, total, step):
        count = min(step, total - first)
        out[:, first : first + count] = to_int16(renderer.read(first, count))
    return out


def truth_line(stamp: str, scene: Scene, frame: Frame) -> dict[str, Any]:
    """Return one line of ``truth/frames.jsonl``; see `layout.read_truth`."""
    truth = scene.truth(frame.time_s)
    label_ids = set(truth.labels().ids.tolist())
    return {
        'stamp': stamp,
        'time_s': round(frame.time_s, 6),
        'boxes_px': np.round(truth.boxes_px.astype(float), 2).tolist(),
        'ids': truth.ids.tolist(),
        'kinds': list(truth.kinds),
        **{name: _numbers(truth, name) for name in _MEASURES},
        'audible': truth.audible.tolist(),
        'label': [identity in label_ids for identity in truth.ids.tolist()],
        'pixels': [frame.pixels.get(identity, 0) for identity in truth.ids.tolist()],
    }


_MEASURES = (
    'distance_m',
    'speed_mps',
    'in_image',
    'visible_fraction',
    'level_db',
    'rest_db',
)


def _numbers(truth: Truth, name: str) -> list[float | None]:
    """Return rounded values; JSON has no -inf, so silence becomes null."""
    values = getattr(truth, name).astype(float).tolist()
    return [round(value, 3) if math.isfinite(value) else None for value in values]


def _write_pictures(root: Path, frame_id: layout.FrameId, frame: Frame) -> None:
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    for modality, image, ending, options in (
        ('rgb', frame.rgb, '.jpg', jpeg),
        ('thermal', frame.thermal, '.png', PNG),
        ('depth', frame.depth, '.jpg', jpeg),
    ):
        _, data = cv2.imencode(ending, image, options)
        path = layout.picture_path(root, frame_id, modality, ending)
        path.write_bytes(data.tobytes())
    np.save(layout.depth_path(root, frame_id), frame.depth_m, allow_pickle=False)


def _write_clips(
    root: Path, frame_id: layout.FrameId, sound: np.ndarray, t_s: float, rate: int
) -> None:
    samples = round(layout.CLIP_S * rate)
    first = round(t_s * rate) - samples // 2
    for path, channel in zip(layout.sound_paths(root, frame_id, '.flac'), sound, strict=True):
        clip = channel[first : first + samples]
        soundfile.write(path, clip, rate, subtype='PCM_16', format='FLAC')


def _write_parameters(
    part: Path, plan: Plan, drive: DrivePlan, scene: Scene, conditions: Conditions
) -> None:
    parameters = {
        'start_ns': drive.start_ns,
        'split': drive.split,
        'scene_seed': drive.scene_seed,
        'setting': scene.setting,
        'static': is_static(scene),
        'night': drive.night,
        'plan': asdict(plan),
        'sample_rate_hz': scene.rig.sample_rate_hz,
        'temperature_c': scene.temperature_c,
        'humidity_percent': scene.humidity_percent,
        'vehicles': len(scene.vehicles),
        'turning': [v.vehicle_id for v in scene.vehicles if isinstance(v.road, Route)],
        'changing_lanes': [v.vehicle_id for v in scene.vehicles if v.motion.changes],
        'buildings_m': [building.corners_m for building in scene.buildings],
        'thermal_counts_per_k': COUNTS_PER_K,
        'depth_baseline_m': BASELINE_M,
        'conditions': asdict(conditions),
        'noise': asdict(scene.noise),
        'corruption': asdict(scene.corruption),
    }
    text = json.dumps(parameters, indent=1, default=_plain)
    _write(part / 'parameters.json', (text + '\n').encode())


def _plain(value: object) -> object:
    """Convert a numpy value for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f'{type(value)} in the parameters')


def is_static(scene: Scene) -> bool:
    """Return whether the ego vehicle stands during the whole drive."""
    return scene.ego.motion.speed_mps == 0


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + '.part')
    part.write_bytes(data)
    part.replace(path)


def write_splits(root: Path, plan: Plan) -> dict[str, list[layout.FrameId]]:
    """Write the split files of a complete run.

    Returns:
        The frames of each file, by its name.
    """
    frames: dict[str, list[layout.FrameId]] = {}
    for split in layout.SPLITS:
        for daytime in (None, *layout.DAYTIMES):
            for variant in layout.VARIANTS:
                frames[layout.split_path('', split, daytime, variant).name] = []
    make = partial(layout.split_path, '')
    for drive in plan_drives(plan):
        parameters = layout.read_parameters(Path(root) / drive.name)
        variant = 'static' if parameters['static'] else 'drive'
        daytime = 'night' if drive.night else 'day'
        ids = [
            layout.make_id(drive.name, drive.start_ns + round(t_s * 1e9)) for t_s in plan.times_s()
        ]
        for name in (
            make(drive.split),
            make(drive.split, None, variant),
            make(drive.split, daytime),
            make(drive.split, daytime, variant),
        ):
            frames[name.name] += ids
    for file_name, ids in frames.items():
        layout.write_ids(Path(root) / file_name, ids)
    return frames
