"""Check of a data set in the MAVD layout: its content, missing files, and suspicious data."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from avdet_ros.audio.sound_rate import RATE_TOLERANCE, nearest_rate
from avdet_ros.dataset import layout
from avdet_ros.dataset.clip_rate import clip_rate
from avdet_ros.dataset.frame_files import look_for_files
from avdet_ros.dataset.odometry import check_motion
from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.dataset.thermal_counts import contrast_fault
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import MICROPHONES

SILENT_DBFS = -110.0
CLIPPED = 0.001
"""Fraction of samples at full scale from which a channel counts as clipped."""

SPREAD_DB = 20.0
GAP = 1.5
"""Distance of frames, in multiples of the usual one, from which there is a gap between them."""


@dataclass(frozen=True)
class Finding:
    """One kind of problem.

    Attributes:
        level: 'error' or 'warning'.
        drive: the drive or split file that it concerns; '' for the whole set.
        what: kind of finding, one sentence.
        count: number of occurrences.
        example: location of one occurrence.
    """

    level: str
    drive: str
    what: str
    count: int
    example: str


@dataclass
class DriveSummary:
    """Content of a drive.

    Attributes:
        split: splits that its frames belong to.
        frames: number of listed frames.
        duration_s: time from the first to the last frame.
        rate_hz: usual number of frames per second.
        gaps: number of gaps.
        checked: number of frames that were decoded.
        sizes: picture sizes by modality, e.g. ``1920x650 16-bit``.
        level_dbfs: RMS level of each channel over the decoded frames.
    """

    split: str = ''
    frames: int = 0
    duration_s: float = 0.0
    rate_hz: float = 0.0
    gaps: int = 0
    checked: int = 0
    sizes: dict[str, str] = field(default_factory=dict)
    level_dbfs: list[float | None] = field(default_factory=list)


@dataclass
class Report:
    """Result of `check`.

    Attributes:
        drives: summaries by name.
        files: number of frames listed in each split file.
        findings: all findings, errors first.
    """

    drives: dict[str, DriveSummary]
    files: dict[str, int]
    findings: list[Finding]

    @property
    def errors(self) -> int:
        """Number of findings that are errors."""
        return sum(finding.level == 'error' for finding in self.findings)


def check(root: str | Path, decode: int = 20, progress: Progress = SILENT) -> Report:
    """Check a data set.

    Every file that the split files refer to must exist; some evenly spaced frames of each drive
    are decoded.

    Args:
        root: the data set's folder.
        decode: number of frames per drive to decode, 0 for all.
        progress: shows how many drives are done.

    Raises:
        AvdetError: the folder has no split file.
    """
    root = Path(root)
    if not root.is_dir():
        raise AvdetError(f'{root}: expected a folder with drives, found none')
    found = _Findings()
    files, owner = _read_splits(root, found)
    if not files:
        raise AvdetError(
            f'{root}: expected split files such as train_all.txt, found '
            f'{len(list(root.iterdir()))} other entries'
        )
    drives = defaultdict(list)
    for frame in owner:
        drives[frame.drive].append(frame)
    _leakage(owner, drives, found)
    summaries = {}
    with progress.step('drives', len(drives)) as advance:
        for name, frames in sorted(drives.items()):
            splits = sorted({split for frame in frames for split in owner[frame]})
            summaries[name] = _drive(root, name, sorted(frames), ' '.join(splits), decode, found)
            advance()
    for folder in sorted(root.glob('drive_*')):
        if folder.suffix == '.part':
            found.add('warning', folder.name, 'half-written drive', str(folder))
        elif folder.is_dir() and folder.name not in drives:
            found.add('warning', folder.name, 'drive that no split file lists', str(folder))
    return Report(summaries, files, found.sorted())


class _Findings:
    """Collects findings; equal findings of a drive are counted, not repeated."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._examples: dict[tuple[str, str, str], str] = {}

    def add(self, level: str, drive: str, problem: str, example: str, count: int = 1) -> None:
        key = level, drive, problem
        self._counts[key] += count
        self._examples.setdefault(key, example)

    def sorted(self) -> list[Finding]:
        return [
            Finding(*key, count, self._examples[key])
            for key, count in sorted(self._counts.items(), key=lambda item: item[0])
        ]


def _read_splits(
    root: Path, found: _Findings
) -> tuple[dict[str, int], dict[layout.FrameId, set[str]]]:
    files: dict[str, int] = {}
    owner: dict[layout.FrameId, set[str]] = defaultdict(set)
    for split in layout.SPLITS:
        for daytime in (None, *layout.DAYTIMES):
            for variant in layout.VARIANTS:
                path = layout.split_path(root, split, daytime, variant)
                if not path.exists():
                    continue
                try:
                    ids = layout.read_ids(path)
                    lines = path.read_text(encoding='utf-8').split()
                except AvdetError as error:
                    found.add('error', path.name, 'unreadable split file', str(error))
                    files[path.name] = 0
                    continue
                files[path.name] = len(ids)
                if len(lines) > len(ids):
                    problem = 'ids without nine digits of nanoseconds, left out'
                    found.add('warning', path.name, problem, path.name, len(lines) - len(ids))
                if len(set(ids)) < len(ids):
                    twice = next(frame for frame, n in Counter(ids).items() if n > 1)
                    found.add('error', path.name, 'frame listed twice', str(twice))
                for frame in ids:
                    owner[frame].add(split)
                    if daytime and frame.is_day != (daytime == 'day'):
                        problem = f'frame of another time of day in a {daytime} list'
                        found.add('error', path.name, problem, str(frame))
    return files, owner


def _leakage(
    owner: dict[layout.FrameId, set[str]],
    drives: dict[str, list[layout.FrameId]],
    found: _Findings,
) -> None:
    """Find drives in two splits, and drives recorded at the same time in different splits."""
    spans = []
    for name, frames in drives.items():
        splits = sorted({split for frame in frames for split in owner[frame]})
        if len(splits) > 1:
            problem = f'leakage: the drive is in {" and ".join(splits)}'
            found.add('error', name, problem, str(frames[0]))
        spans.append((min(frames).stamp_ns, max(frames).stamp_ns, name, splits))
    spans.sort()
    for before, after in pairwise(spans):
        if after[0] <= before[1] + 1_000_000_000 and before[3] != after[3]:
            problem = f'leakage: recorded at the same time as {before[2]} of another split'
            found.add('error', after[2], problem, f'{after[0]} ns')


def _drive(
    root: Path, name: str, frames: list[layout.FrameId], split: str, decode: int, found: _Findings
) -> DriveSummary:
    summary = DriveSummary(split, len(frames))
    _timing(name, frames, summary, found)
    whole = (root / name / layout.DRIVE_SOUND).exists()
    usable = look_for_files(root, name, frames, whole, found.add)
    count = len(usable) if decode == 0 else min(decode, len(usable))
    chosen = [usable[index] for index in evenly_spaced(len(usable), count)]
    summary.checked = len(chosen)
    _pictures(root, name, chosen, summary, found)
    _sound(root, name, chosen, summary, found)
    _clip_rate(root, name, frames, found)
    check_motion(root, name, frames, found.add)
    if whole:
        _package_files(root, name, frames, found)
    return summary


def _timing(
    name: str, frames: list[layout.FrameId], summary: DriveSummary, found: _Findings
) -> None:
    stamps = np.array([frame.stamp_ns for frame in frames], np.int64)
    summary.duration_s = float((stamps[-1] - stamps[0]) * 1e-9)
    steps = np.diff(stamps) * 1e-9
    if not len(steps):
        return
    same = np.flatnonzero(steps == 0)
    if len(same):
        # MAVD's own lists contain such pairs: one instant with two sequence numbers.
        problem = 'frames of the same time that differ only in their code'
        found.add('warning', name, problem, str(frames[same[0]]), len(same))
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    summary.rate_hz = 1 / usual if usual else 0.0
    gaps = np.flatnonzero(steps > GAP * usual)
    summary.gaps = len(gaps)
    if len(gaps):
        longest = float(steps.max())
        example = str(frames[int(steps.argmax())])
        found.add('warning', name, f'gaps, the longest {longest:.1f} s', example, len(gaps))


def _pictures(
    root: Path, name: str, frames: list[layout.FrameId], summary: DriveSummary, found: _Findings
) -> None:
    for modality in layout.PICTURES:
        sizes: Counter[str] = Counter()
        for frame in frames:
            if not layout.picture_path(root, frame, modality).exists():
                continue
            try:
                image = layout.read_picture(root, frame, modality)
            except AvdetError as error:
                found.add('error', name, f'unreadable picture: {modality}', str(error))
                continue
            sizes[f'{image.shape[1]}x{image.shape[0]} {8 * image.dtype.itemsize}-bit'] += 1
            if modality == 'thermal' and (fault := contrast_fault(image)):
                example = str(layout.picture_path(root, frame, modality))
                problem = f'thermal picture without contrast: {fault}'
                found.add('error', name, problem, example)
            elif image.min() == image.max():
                example = str(layout.picture_path(root, frame, modality))
                found.add('warning', name, f'picture of one colour: {modality}', example)
        summary.sizes[modality] = ', '.join(sizes)
        if len(sizes) > 1:
            problem = f'pictures of several sizes: {modality}'
            found.add('error', name, problem, ', '.join(sizes))
    pixels = {size.split()[0] for size in summary.sizes.values() if size and ',' not in size}
    if len(pixels) > 1:
        found.add('error', name, 'modalities of different sizes', str(summary.sizes))


def _clip_rate(root: Path, name: str, frames: list[layout.FrameId], found: _Findings) -> None:
    """Find clips that were cut from sound with another sample rate than their files declare."""
    rate_hz = clip_rate(root, frames)
    if rate_hz is not None and abs(rate_hz / layout.SAMPLE_RATE_HZ - 1) > RATE_TOLERANCE:
        problem = (
            f'clips of another rate: expected {layout.SAMPLE_RATE_HZ} samples a second, found '
            f'about {nearest_rate(rate_hz)} by their overlap'
        )
        found.add('error', name, problem, str(frames[0]))


def _sound(
    root: Path, name: str, frames: list[layout.FrameId], summary: DriveSummary, found: _Findings
) -> None:
    power, peaks, total = np.zeros(MICROPHONES), np.zeros(MICROPHONES), 0
    for frame in frames:
        try:
            sound = layout.read_sound(root, frame)
        except AvdetError as error:
            found.add('error', name, 'unreadable sound', str(error))
            continue
        power += np.sum(sound.astype(np.float64) ** 2, axis=1)
        peaks += np.count_nonzero(np.abs(sound) > 0.9999, axis=1)
        total += sound.shape[1]
        for a, b in zip(*np.triu_indices(MICROPHONES, 1), strict=True):
            if sound[a].any() and np.array_equal(sound[a], sound[b]):
                found.add('warning', name, f'channels {a} and {b} are the same', str(frame))
    if not total:
        return
    level = 10 * np.log10(np.maximum(power / total, 1e-20))
    summary.level_dbfs = [round(float(value), 1) for value in level]
    for channel, value in enumerate(level):
        if value < SILENT_DBFS:
            found.add('warning', name, f'channel {channel} is silent', f'{value:.0f} dBFS')
        if peaks[channel] > CLIPPED * total:
            part = peaks[channel] / total
            found.add('warning', name, f'channel {channel} is clipped', f'{part:.2%} of samples')
    audible = level[level >= SILENT_DBFS]
    if len(audible) and np.ptp(audible) > SPREAD_DB:
        found.add('warning', name, 'channels of very different level', f'{np.ptp(audible):.0f} dB')


def _package_files(root: Path, name: str, frames: list[layout.FrameId], found: _Findings) -> None:
    """Check the files that only drives of this package have."""
    folder = root / name
    if not (folder / layout.DONE).exists():
        found.add('error', name, 'drive without its DONE marker', str(folder))
    try:
        truth = layout.read_truth(root, name)
        layout.read_parameters(folder)
        absent = [frame for frame in frames if frame.stamp not in truth]
        if absent:
            found.add('error', name, 'frames without truth', str(absent[0]), len(absent))
        absent = [frame for frame in frames if not layout.depth_path(root, frame).exists()]
        if absent:
            where = str(layout.depth_path(root, absent[0]))
            found.add('error', name, 'missing file: depth_m', where, len(absent))
        with soundfile.SoundFile(folder / layout.DRIVE_SOUND) as file:
            if file.channels != MICROPHONES:
                where = f'{file.channels} channels'
                found.add('error', name, f'{layout.DRIVE_SOUND} without eight channels', where)
    except (AvdetError, soundfile.LibsndfileError) as error:
        found.add('error', name, 'unreadable file', str(error))
