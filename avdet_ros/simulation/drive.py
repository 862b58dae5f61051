"""Simulated drives on disk, in the MAVD layout: see training/mavd.py for what lies where.

A drive is written into ``<drive>.part`` and renamed once all of it is there, so a drive that
exists is whole; a run that was killed makes up only what is missing, byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
import errno
from functools import partial
import hashlib
import json
import math
from pathlib import Path
import shutil

import cv2
import numpy as np
import soundfile

from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, load_rig
from avdet_ros.simulation.pictures import Cameras, Conditions, Frame, random_conditions
from avdet_ros.simulation.pictures.depth import BASELINE_M
from avdet_ros.simulation.pictures.thermal import COUNTS_PER_K
from avdet_ros.simulation.recordings import load_recordings
from avdet_ros.simulation.scene import Scene, Truth
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import furnished, random_scene
from avdet_ros.training import mavd

FIRST_DAY = datetime(2030, 1, 1, tzinfo=UTC)
SEEDS_A_SPLIT = 100_000
"""Scene seeds of training drives are below this, those of validation and test follow."""

SHARES = {'val': 0.2, 'test': 0.2}

BYTES_A_FRAME = 1_700_000
BYTES_OF_CLIPS = 320_000
BYTES_OF_SOUND_A_S = 320_000
"""What a frame, its clips and a second of eight channels take at most on average, measured."""

JPEG_QUALITY = 92
RENDER_S = 5.0


@dataclass(frozen=True)
class Plan:
    """What a run is to write; two runs with equal plans write equal bytes.

    Attributes:
        drives: how many.
        minutes: length of each.
        seed: names the run.
        fps: pictures a second.
        clips: write each frame's second of sound as eight files, as MAVD has them.
        clean_too: write the sound without the array's errors beside it, ``drive_clean.flac``.
        recordings: folder of loops that serve as engines and tyres, '' for the synthetic ones.
    """

    drives: int = 40
    minutes: float = 2.0
    seed: int = 7
    fps: float = 2.0
    clips: bool = True
    clean_too: bool = False
    recordings: str = ''

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            AvdetError: a value is out of its range.
        """
        for name, low, high in (
            ('drives', 1, 10_000),
            ('minutes', 0.05, 20),
            ('seed', 0, 2**31 - 1),
            ('fps', 0.1, 30),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise AvdetError(f'{name}: expected {low} to {high}, found {value:g}')

    @property
    def duration_s(self) -> float:
        """Length of a drive."""
        return self.minutes * 60.0

    def times_s(self) -> np.ndarray:
        """(F,) drive time of each frame; its second of sound lies within the drive."""
        last = self.duration_s - mavd.CLIP_S
        return 0.5 + np.arange(math.floor(last * self.fps + 1e-6) + 1) / self.fps

    def needed_bytes(self) -> int:
        """Roughly what the whole run takes on disk."""
        frame = BYTES_A_FRAME + BYTES_OF_CLIPS * self.clips
        sound = BYTES_OF_SOUND_A_S * self.duration_s * (1 + self.clean_too)
        return int(self.drives * (len(self.times_s()) * frame + sound))


@dataclass(frozen=True)
class DrivePlan:
    """One drive of a run.

    Attributes:
        name: its folder.
        split: the split it belongs to.
        scene_seed: of traffic.random_scene; each split has seeds of its own.
        night: whether it is driven by night.
        start_ns: time of its beginning, nanoseconds since 1970.
    """

    name: str
    split: str
    scene_seed: int
    night: bool
    start_ns: int


def plan_drives(plan: Plan) -> list[DrivePlan]:
    """Names, splits and seeds of a run's drives: 60/20/20 by drive, half of each by night."""
    rng = np.random.default_rng([plan.seed, 211])
    held = {split: round(share * plan.drives) for split, share in SHARES.items()}
    if plan.drives >= 3:
        held = {split: max(count, 1) for split, count in held.items()}
    splits = ['train'] * (plan.drives - sum(held.values()))
    splits += [split for split, count in held.items() for _ in range(count)]
    seeds = rng.choice(SEEDS_A_SPLIT, plan.drives, replace=False)
    drives = []
    for index, (split, seed) in enumerate(zip(splits, seeds, strict=True)):
        night = index % 2 == 1
        hour = int(rng.integers(20, 24) if night else rng.integers(9, 16))
        clock = timedelta(
            days=index, hours=hour, minutes=int(rng.integers(60)), seconds=int(rng.integers(60))
        )
        start = FIRST_DAY + clock
        name = f'drive_{"night" if night else "day"}_{start:%Y_%m_%d_%H_%M_%S}'
        offset = mavd.SPLITS.index(split) * SEEDS_A_SPLIT
        start_ns = int(start.timestamp()) * 1_000_000_000
        drives.append(DrivePlan(name, split, int(seed) + offset, night, start_ns))
    return drives


def make_scene(
    plan: Plan, drive: DrivePlan, rig_path: Path | None, clean: bool = False
) -> tuple[Scene, Conditions]:
    """The world of a drive, and its light and weather."""
    rig = load_rig(rig_path)
    loops = None
    if plan.recordings:
        loops = load_recordings(plan.recordings, rig.sample_rate_hz)
    scene = random_scene(drive.scene_seed, rig, plan.duration_s, corrupted=not clean)
    scene = furnished(scene, not clean, loops)
    return scene, random_conditions(drive.scene_seed, scene.temperature_c, drive.night)


def prepare(root: Path, plan: Plan, rig_path: Path | None = None) -> list[DrivePlan]:
    """Make the folder, or take up an interrupted run in it.

    Returns:
        the drives that are still missing.

    Raises:
        AvdetError: the folder holds something else or a run with other settings, or the disk has
            too little room.
    """
    root = Path(root)
    settings = root / 'simulation.json'
    loaded = load_rig(rig_path)
    if plan.recordings:
        load_recordings(plan.recordings, loaded.sample_rate_hz)
    rig = hashlib.sha256((rig_path or default_rig_path()).read_bytes()).hexdigest()
    wanted = {**asdict(plan), 'rig': rig[:16]}
    if settings.exists():
        try:
            found = dict(json.loads(settings.read_text(encoding='utf-8')))
        except (OSError, ValueError, TypeError) as error:
            raise AvdetError(f'{settings}: expected settings of a run, found {error}') from error
        other = [name for name in wanted if found.get(name) != wanted[name]]
        if other:
            name = other[0]
            raise AvdetError(
                f'{root} holds a run with {name} {found.get(name)}: expected {wanted[name]} '
                'to go on with it; choose another folder or the same settings'
            )
    elif root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise AvdetError(
            f'{root}: expected a new or empty folder or an interrupted run, found other files'
        )
    missing = [d for d in plan_drives(plan) if not (root / d.name / mavd.DONE).exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        _write(settings, (json.dumps(wanted, indent=1) + '\n').encode())
        free = shutil.disk_usage(root).free
    except OSError as error:
        reason = error.strerror or error
        raise AvdetError(f'{root}: expected a folder to write to, found: {reason}') from error
    needed = plan.needed_bytes() * len(missing) // plan.drives
    if needed * 1.03 > free:
        raise AvdetError(
            f'{root}: expected {needed / 1e9:.1f} GB of free disk for {len(missing)} drives, '
            f'found {free / 1e9:.1f} GB'
        )
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
        plan: of the run.
        drive: which one.
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
        (part / mavd.DONE).write_text('complete\n', encoding='utf-8')
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except (OSError, soundfile.LibsndfileError) as error:
        number = getattr(error, 'errno', None)
        full = number in (errno.ENOSPC, errno.EDQUOT) or shutil.disk_usage(root).free < 1 << 20
        shutil.rmtree(part, ignore_errors=True)
        if full:
            raise AvdetError(
                f'{root}: the disk is full while writing {drive.name}: '
                'make room and run the same command again to go on'
            ) from error
        raise AvdetError(f'{part}: cannot write: {error}') from error


def _fill(
    part: Path, plan: Plan, drive: DrivePlan, rig_path: Path | None,
    frame_done: Callable[[], None] | None,
) -> None:  # fmt: skip
    scene, conditions = make_scene(plan, drive, rig_path)
    rate = scene.rig.sample_rate_hz
    shutil.copyfile(rig_path or default_rig_path(), part / 'rig.yaml')
    _write_parameters(part, plan, drive, scene, conditions)
    sound = render_drive_sound(scene)
    soundfile.write(part / mavd.DRIVE_SOUND, sound.T, rate, subtype='PCM_16', format='FLAC')
    if plan.clean_too:
        clean, _ = make_scene(plan, drive, rig_path, clean=True)
        quiet = render_drive_sound(clean)
        soundfile.write(part / 'drive_clean.flac', quiet.T, rate, subtype='PCM_16', format='FLAC')
    for folder in ('fl_rgb', 'fl_ir_aligned', 'fl_rgb_depth', 'depth_m', 'audio', 'truth'):
        (part / folder).mkdir()
    cameras = Cameras(scene, conditions)
    with (part / 'truth' / 'frames.jsonl').open('w', encoding='utf-8') as truth:
        for t_s in plan.times_s():
            frame_id = mavd.make_id(part.name, drive.start_ns + round(t_s * 1e9))
            frame = cameras.frame(float(t_s))
            _write_pictures(part.parent, frame_id, frame)
            if plan.clips:
                _write_clips(part.parent, frame_id, sound, float(t_s), rate)
            line = truth_line(frame_id.stamp, scene, frame)
            truth.write(json.dumps(line, allow_nan=False) + '\n')
            if frame_done is not None:
                frame_done()


def render_drive_sound(scene: Scene) -> np.ndarray:
    """(8, n) int16 sound of a whole drive, full scale 32768."""
    rate = scene.rig.sample_rate_hz
    total = round(scene.duration_s * rate)
    renderer = SoundRenderer(scene)
    out = np.empty((len(scene.rig.names), total), np.int16)
    step = round(RENDER_S * rate)
    for first in range(0, total, step):
        count = min(step, total - first)
        block = renderer.read(first, count) * 32768.0
        out[:, first : first + count] = np.clip(np.round(block), -32768, 32767)
    return out


def truth_line(stamp: str, scene: Scene, frame: Frame) -> dict:
    """One line of ``truth/frames.jsonl``; see `mavd.read_truth`."""
    truth = scene.truth(frame.time_s)
    wanted = set(scene.labels(frame.time_s).ids.tolist())
    return {
        'stamp': stamp,
        'time_s': round(frame.time_s, 6),
        'boxes_px': np.round(truth.boxes_px.astype(float), 2).tolist(),
        'ids': truth.ids.tolist(),
        'kinds': list(truth.kinds),
        **{name: _numbers(truth, name) for name in _MEASURES},
        'audible': truth.audible.tolist(),
        'label': [identity in wanted for identity in truth.ids.tolist()],
        'pixels': [frame.pixels.get(identity, 0) for identity in truth.ids.tolist()],
    }


_MEASURES = (
    'distance_m', 'speed_mps', 'in_image', 'visible_fraction', 'level_db', 'rest_db',
)  # fmt: skip


def _numbers(truth: Truth, name: str) -> list[float | None]:
    """Rounded values; JSON has no -inf, silence is null."""
    values = getattr(truth, name).astype(float).tolist()
    return [round(value, 3) if math.isfinite(value) else None for value in values]


def _write_pictures(root: Path, frame_id: mavd.FrameId, frame: Frame) -> None:
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    for modality, image, ending, options in (
        ('rgb', frame.rgb, '.jpg', jpeg),
        ('thermal', frame.thermal, '.png', [cv2.IMWRITE_PNG_COMPRESSION, 1]),
        ('depth', frame.depth, '.jpg', jpeg),
    ):
        _, data = cv2.imencode(ending, image, options)
        path = mavd.picture_path(root, frame_id, modality, ending)
        path.write_bytes(data.tobytes())
    np.save(mavd.depth_path(root, frame_id), frame.depth_m, allow_pickle=False)


def _write_clips(
    root: Path, frame_id: mavd.FrameId, sound: np.ndarray, t_s: float, rate: int
) -> None:
    samples = round(mavd.CLIP_S * rate)
    first = round(t_s * rate) - samples // 2
    for path, channel in zip(mavd.sound_paths(root, frame_id, '.flac'), sound, strict=True):
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
        'thermal_counts_per_k': COUNTS_PER_K,
        'depth_baseline_m': BASELINE_M,
        'conditions': asdict(conditions),
        'noise': asdict(scene.noise),
        'corruption': asdict(scene.corruption),
    }
    text = json.dumps(parameters, indent=1, default=_plain)
    _write(part / 'parameters.json', (text + '\n').encode())


def _plain(value: object) -> object:
    """What JSON can hold of a numpy value."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f'{type(value)} in the parameters')


def is_static(scene: Scene) -> bool:
    """Whether the own vehicle stands during the whole drive."""
    return scene.ego.motion.speed_mps == 0


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + '.part')
    part.write_bytes(data)
    part.replace(path)


def write_splits(root: Path, plan: Plan) -> dict[str, list[mavd.FrameId]]:
    """Write the split files of a complete run.

    Returns:
        the frames of each file, by its name.
    """
    frames: dict[str, list[mavd.FrameId]] = {}
    for split in mavd.SPLITS:
        for daytime in (None, *mavd.DAYTIMES):
            for variant in mavd.VARIANTS:
                frames[mavd.split_path('', split, daytime, variant).name] = []
    make = partial(mavd.split_path, '')
    for drive in plan_drives(plan):
        parameters = mavd.read_parameters(Path(root) / drive.name)
        variant = 'static' if parameters['static'] else 'drive'
        daytime = 'night' if drive.night else 'day'
        ids = [
            mavd.make_id(drive.name, drive.start_ns + round(t_s * 1e9)) for t_s in plan.times_s()
        ]
        for name in (
            make(drive.split), make(drive.split, None, variant),
            make(drive.split, daytime), make(drive.split, daytime, variant),
        ):  # fmt: skip
            frames[name.name] += ids
    for name, ids in frames.items():
        mavd.write_ids(Path(root) / name, ids)
    return frames
