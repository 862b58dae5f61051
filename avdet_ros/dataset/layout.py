"""The MAVD layout on disk: frame ids, split files, pictures, sound and, in our drives, the truth.

    <root>/train_all.txt, val_day_static.txt, ...   one frame id per line
    <root>/<drive>/fl_rgb/fl_rgb_<stamp>.jpg
    <root>/<drive>/fl_ir_aligned/fl_ir_aligned_<stamp>.jpg | .png
    <root>/<drive>/fl_rgb_depth/fl_rgb_<stamp>.jpg
    <root>/<drive>/audio/audio_{0..7}_<stamp>.mp3 | .wav | .flac

A frame id is ``<drive>/<stamp>`` and a stamp ``<seconds>_<nanoseconds>_<code>``. Drives that this
package writes contain more: ``drive.flac`` (eight channels, from the drive's ``start_ns`` on),
``depth_m/depth_m_<stamp>.npy`` (metres), ``truth/frames.jsonl``, ``odometry.csv`` (see
`odometry`), ``rig.yaml``, ``parameters.json`` and, once complete, ``DONE``. Pickled files of
a data set are never read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
import json
from pathlib import Path
import re
from typing import Any

import cv2
import numpy as np
import soundfile

from avdet_ros import image_codec
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.rig import MICROPHONES

SPLITS = ('train', 'val', 'test')
DAYTIMES = ('day', 'night')
VARIANTS = ('all', 'static', 'drive')
SAMPLE_RATE_HZ = 44100
CLIP_S = 1.0
"""Length of a frame's sound, centred on the picture's stamp."""

PICTURES = {
    'rgb': ('fl_rgb', 'fl_rgb_', ('.jpg', '.png')),
    'thermal': ('fl_ir_aligned', 'fl_ir_aligned_', ('.png', '.jpg')),
    'depth': ('fl_rgb_depth', 'fl_rgb_', ('.jpg', '.png')),
}
"""Folder, prefix and endings of each modality, the preferred ending first. Thermal counts need
16 bits, which only PNG supports; MAVD's .jpg of the same name is an 8-bit picture."""

SOUND_ENDINGS = ('.flac', '.wav', '.mp3')
DRIVE_SOUND = 'drive.flac'
MEASURED = ('distance_m', 'visible_fraction', 'pixels')
"""Values per vehicle that simulated drives have in their truth and recorded drives may lack."""

DONE = 'DONE'
_BY_DAY = {'day', 'daytime', 'daylight', 'midday'}


@dataclass(frozen=True, order=True)
class FrameId:
    """One frame of a drive; sorts by time.

    Attributes:
        stamp_ns: when the picture was taken, nanoseconds since 1970.
        drive: the drive's folder.
        stamp: ``<seconds>_<nanoseconds>_<code>``, as in file names.
    """

    stamp_ns: int
    drive: str
    stamp: str

    def __str__(self) -> str:
        return f'{self.drive}/{self.stamp}'

    @property
    def is_day(self) -> bool:
        """Whether the name says that the drive was recorded by day; Monday, day_2_night do not."""
        words = set(re.findall('[A-Z]?[a-z]+|[A-Z]+', self.drive))
        words = {word.lower() for word in words}
        return bool(words & _BY_DAY) and 'night' not in words


def make_id(drive: str, stamp_ns: int, code: int = 1) -> FrameId:
    """Return the id of a frame taken at a given time."""
    seconds, nanoseconds = divmod(int(stamp_ns), 1_000_000_000)
    return FrameId(int(stamp_ns), drive, f'{seconds}_{nanoseconds:09d}_{code:03d}')


def parse_id(text: str, where: str = 'frame id') -> FrameId | None:
    """Parse a frame id.

    Args:
        text: ``<drive>/<seconds>_<nanoseconds>_<code>``.
        where: source of the text, for the message.

    Returns:
        The id; None if it has fewer than nine digits of nanoseconds, as its time is unknown.

    Raises:
        AvdetError: it is not an id.
    """
    drive, slash, stamp = text.strip().rpartition('/')
    parts = stamp.split('_')
    safe = drive and not drive.startswith(('/', '.')) and '/' not in drive and '\\' not in drive
    if not slash or not safe or len(parts) != 3 or not all(map(_is_number, parts[:2])):
        raise AvdetError(
            f'{where}: expected <drive>/<seconds>_<nanoseconds>_<code>, '
            f'found {text.strip()[:80]!r}'
        )
    if len(parts[1]) < 9:
        return None
    return FrameId(int(parts[0]) * 1_000_000_000 + int(parts[1][:9]), drive, stamp)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def split_path(
    root: str | Path, split: str, daytime: str | None = None, variant: str = 'all'
) -> Path:
    """Return the path of a split file.

    Args:
        root: the data set's folder.
        split: one of `SPLITS`.
        daytime: one of `DAYTIMES`, None for both.
        variant: one of `VARIANTS`.

    Raises:
        AvdetError: one of the names is unknown.
    """
    for argument, value, allowed in (
        ('split', split, SPLITS),
        ('daytime', daytime, (*DAYTIMES, None)),
        ('variant', variant, VARIANTS),
    ):
        if value not in allowed:
            names = ', '.join(str(name) for name in allowed if name)
            raise AvdetError(f'{argument}: expected one of {names}, found {value!r}')
    return Path(root) / '_'.join(filter(None, (split, daytime, f'{variant}.txt')))


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a data set in this layout."""
    return split_path(folder, 'train').is_file()


def read_ids(path: str | Path) -> list[FrameId]:
    """Read a split file; ids without a full time are dropped, the rest is sorted by time.

    Raises:
        AvdetError: the file cannot be read, or a line is not an id; the message names both.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'not text'
        raise AvdetError(f'split file {path}: expected frame ids, found {reason}') from error
    ids = [
        parse_id(line, f'{path}:{number}') for number, line in enumerate(lines, 1) if line.strip()
    ]
    return sorted(frame for frame in ids if frame is not None)


def write_ids(path: str | Path, ids: Iterable[FrameId]) -> None:
    """Write a split file, sorted by time, atomically; several processes may do so at once.

    Raises:
        AvdetError: it cannot be written.
    """
    with write_atomically(Path(path)) as file:
        file.write(''.join(f'{frame}\n' for frame in sorted(ids)).encode())


def picture_path(
    root: str | Path, frame: FrameId, modality: str, ending: str | None = None
) -> Path:
    """Return the path of a picture: with the first ending that exists, else the preferred one.

    Args:
        root: the data set's folder.
        frame: the frame.
        modality: a key of `PICTURES`.
        ending: use this ending, whether the file exists or not.
    """
    folder, prefix, endings = PICTURES[modality]
    stem = Path(root) / frame.drive / folder / f'{prefix}{frame.stamp}'
    paths = [Path(f'{stem}{end}') for end in ((ending,) if ending else endings)]
    return next((path for path in paths if path.exists()), paths[0])


def sound_paths(root: str | Path, frame: FrameId, ending: str | None = None) -> list[Path]:
    """Return the paths of a frame's eight sound files, one per microphone; see `picture_path`."""
    stems = [
        Path(root) / frame.drive / 'audio' / f'audio_{index}_{frame.stamp}'
        for index in range(MICROPHONES)
    ]
    if ending is None:
        present = (end for end in SOUND_ENDINGS if Path(f'{stems[0]}{end}').exists())
        ending = next(present, SOUND_ENDINGS[0])
    return [Path(f'{stem}{ending}') for stem in stems]


def read_picture(root: str | Path, frame: FrameId, modality: str) -> np.ndarray:
    """Decode a picture.

    Returns:
        (H, W, 3) uint8 BGR for ``rgb`` and ``depth`` (colour-coded disparity); for ``thermal``
        (H, W) uint16 counts, or (H, W) uint8 if only an 8-bit picture exists.

    Raises:
        AvdetError: the file is missing, too large, or not a picture.
    """
    path = picture_path(root, frame, modality)
    flags = (
        cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE if modality == 'thermal' else cv2.IMREAD_COLOR
    )
    return image_codec.read_picture(path, flags)


def read_depth_m(root: str | Path, frame: FrameId) -> np.ndarray:
    """Read the metric depth of a frame of our drives.

    Returns:
        (h, w) float32 metres along the optical axis, 0 if unknown; the grid covers the image
        at half its resolution.

    Raises:
        AvdetError: the file is missing or damaged.
    """
    path = depth_path(root, frame)
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise AvdetError(f'{path}: expected an array of metres, found {error}') from error


def depth_path(root: str | Path, frame: FrameId) -> Path:
    """Return the path of the file for `read_depth_m`."""
    return Path(root) / frame.drive / 'depth_m' / f'depth_m_{frame.stamp}.npy'


def read_sound(root: str | Path, frame: FrameId, rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """Read the second of sound around a frame.

    It is read from the frame's eight files, or cut out of ``drive.flac`` if a drive has no clips.
    An MP3 decoder's padding at the end is cut off. If up to a tenth is missing at the end, it is
    filled with silence.

    Returns:
        (8, rate_hz) float32 in [-1, 1], in microphone order.

    Raises:
        AvdetError: the sound is missing, unreadable, of another rate, or too short.
    """
    samples = round(CLIP_S * rate_hz)
    paths = sound_paths(root, frame)
    if not paths[0].exists() and (Path(root) / frame.drive / DRIVE_SOUND).exists():
        return _cut(Path(root) / frame.drive, frame, rate_hz, samples)
    channels = np.zeros((MICROPHONES, samples), np.float32)
    for row, path in zip(channels, paths, strict=True):
        try:
            sound, rate = soundfile.read(path, dtype='float32', always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise AvdetError(f'{path}: expected sound, found {error}') from error
        if rate != rate_hz or len(sound) < 0.9 * samples:
            raise AvdetError(
                f'{path}: expected {CLIP_S:g} s at {rate_hz} Hz, found {len(sound) / rate:.3f} s '
                f'at {rate} Hz'
            )
        count = min(len(sound), samples)
        row[:count] = sound[:count, 0]
    return channels


def _cut(folder: Path, frame: FrameId, rate_hz: int, samples: int) -> np.ndarray:
    start_ns = int(read_parameters(folder)['start_ns'])
    path = folder / DRIVE_SOUND
    first = round((frame.stamp_ns - start_ns) * 1e-9 * rate_hz) - samples // 2
    try:
        with soundfile.SoundFile(path) as file:
            shape = file.samplerate, file.channels
            if shape != (rate_hz, MICROPHONES):
                raise AvdetError(
                    f'{path}: expected {rate_hz} Hz and {MICROPHONES} channels, '
                    f'found {shape[0]} Hz and {shape[1]}'
                )
            if first < 0 or first + samples > file.frames:
                raise AvdetError(
                    f'{path}: expected sound around frame {frame}, found {file.frames} samples'
                )
            file.seek(first)
            return np.ascontiguousarray(file.read(samples, dtype='float32').T)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AvdetError(f'{path}: expected sound, found {error}') from error


def read_parameters(folder: str | Path) -> dict[str, Any]:
    """Read ``parameters.json`` of one of our drives; it is cached until the file changes.

    Raises:
        AvdetError: the file is missing or damaged.
    """
    path = Path(folder) / 'parameters.json'
    try:
        return _parameters(path, path.stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        raise AvdetError(f"{path}: expected the drive's parameters, found {error}") from error


@lru_cache(maxsize=256)
def _parameters(path: Path, _changed_ns: int) -> dict[str, Any]:
    parameters = json.loads(path.read_text(encoding='utf-8'))
    if not isinstance(parameters, dict) or 'start_ns' not in parameters:
        raise ValueError('no start_ns in it')
    return parameters


def read_truth(root: str | Path, drive: str) -> dict[str, dict[str, Any]]:
    """Read the ground truth of one of our drives, by stamp.

    Returns:
        A dictionary per frame: ``time_s``, ``boxes_px`` (N, 4), and lists of N: ``ids``,
        ``kinds``, ``distance_m``, ``speed_mps``, ``in_image``, ``visible_fraction``,
        ``level_db``, ``rest_db``, ``audible``, ``label`` (whether a sound-based detector should
        report the vehicle), ``pixels`` (number of pixels that show it). Recorded drives have
        less: entries of `MEASURED` that a line lacks are lists of None.

    Raises:
        AvdetError: the file is missing or damaged.
    """
    path = Path(root) / drive / 'truth' / 'frames.jsonl'
    try:
        lines = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
        truth = {line['stamp']: line for line in lines}
        for line in lines:
            line['boxes_px'] = np.array(line['boxes_px'], np.float32).reshape(-1, 4)
            for name in MEASURED:
                line.setdefault(name, [None] * len(line['boxes_px']))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AvdetError(f'{path}: expected a JSON object a line, found {error}') from error
    return truth
