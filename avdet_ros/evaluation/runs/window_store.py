"""Windows of simulated drives with their truth, rendered once and cached on disk.

The stored content is the waveform in 16 bits, as from a sound card, so that any model, front end
or calibration can be scored on the same windows. The name of a set's folder is a hash of all that
determines its sound: condition, cut, rig and recordings. Each drive is a file that appears only
when complete, so an interrupted run continues where it stopped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import hashlib
import json
from pathlib import Path
import shutil
from zipfile import BadZipFile

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.samples import to_int16
from avdet_ros.audio.window import HOP_S
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.on_simulation import truth_frame
from avdet_ros.evaluation.runs.windows import (
    TRUTH_OFFSETS_S,
    DriveWindows,
    read_drive,
    write_drive,
)
from avdet_ros.files import explain_os_error, write_atomically
from avdet_ros.rig import Rig
from avdet_ros.rig_match import rig_numbers
from avdet_ros.simulation.conditions import Condition, true_array
from avdet_ros.simulation.drive import is_static
from avdet_ros.simulation.recorded_sounds import SoundFolder
from avdet_ros.simulation.recordings import SUFFIXES, Recordings, load_recordings
from avdet_ros.simulation.sound import SoundRenderer

FORMAT = 1
"""Version of the file format; sets of another version are rendered again."""

SPACING_S = 3.0
"""Time from one window of a drive to the next, if only a few windows are taken."""

SAME_WITHIN = 2
"""Largest difference of the same sound between machines, in 16-bit steps."""

_STARTS_STREAM = 9
"""Random stream of a seed for the starts of windows, the same as for training windows."""


@dataclass(frozen=True)
class Cut:
    """Selection of windows from a drive.

    Attributes:
        windows: number of windows, `SPACING_S` apart and each slightly shifted; 0 takes all.
        seconds: length of the drive if all windows are taken.
        rate_hz: windows a second if all are taken.
    """

    windows: int = 3
    seconds: float = 20.0
    rate_hz: float = 1 / HOP_S

    @property
    def duration_s(self) -> float:
        """Length of a drive, seconds."""
        return self.windows * SPACING_S if self.windows else self.seconds

    def starts(self, seed: int, front_end: FrontEnd) -> np.ndarray:
        """Return the (W,) int64 first sample of each window of a drive."""
        rate = front_end.sample_rate_hz
        if self.windows:
            rng = np.random.default_rng([seed, _STARTS_STREAM])
            times = [
                index * SPACING_S + 0.25 * rng.integers(0, 8) for index in range(self.windows)
            ]
            return np.array([round(t * rate) for t in times], np.int64)
        count = int((self.seconds - front_end.window_s) * self.rate_hz + 1e-6) + 1
        return np.array([round(index * rate / self.rate_hz) for index in range(count)], np.int64)


@dataclass(frozen=True)
class WindowSetting:
    """Everything that determines the sound of a set, except the drives' seeds.

    Attributes:
        condition: world and array.
        cut: selection of windows.
        recordings: folder of loops as vehicle sound, None for synthetic sound.
        sounds: folder of recordings as other sounds, None for synthetic ones.
    """

    condition: Condition
    cut: Cut
    recordings: Path | None = None
    sounds: Path | None = None

    def key(self, rig: Rig) -> dict[str, object]:
        """Return everything the set depends on, for JSON."""
        return {
            'format': FORMAT,
            'condition': self.condition.key(),
            'cut': asdict(self.cut),
            'recordings': folder_digest(self.recordings) if self.recordings else '',
            'array_position_m': rig.array_position_m.round(6).tolist(),
            'array_yaw_deg': round(rig.array_yaw_deg, 6),
            **rig_numbers(rig),
            **({'sounds': folder_digest(self.sounds)} if self.sounds else {}),
        }


def render_drive(
    setting: WindowSetting,
    seed: int,
    rig: Rig,
    recordings: Recordings | None = None,
    sounds: SoundFolder | None = None,
) -> DriveWindows:
    """Render the windows of a drive.

    Args:
        setting: setting of the drives.
        seed: seed of the drive.
        rig: microphones and camera.
        recordings: the setting's recordings, loaded.
        sounds: the setting's sounds.
    """
    front_end = FrontEnd(sample_rate_hz=rig.sample_rate_hz)
    scene = setting.condition.scene(seed, rig, setting.cut.duration_s, recordings, sounds)
    renderer = SoundRenderer(scene)
    starts = setting.cut.starts(seed, front_end)
    end_s = (starts + front_end.samples) / front_end.sample_rate_hz
    if setting.cut.windows:
        pieces = [to_int16(renderer.read(int(start), front_end.samples)) for start in starts]
        piece, first = np.arange(len(starts)), np.zeros(len(starts), np.int64)
    else:
        second, total = rig.sample_rate_hz, int(starts[-1]) + front_end.samples
        blocks = [
            to_int16(renderer.read(begin, min(second, total - begin)))
            for begin in range(0, total, second)
        ]
        pieces = [np.concatenate(blocks, axis=1)]
        piece, first = np.zeros(len(starts), np.int64), starts
    return DriveWindows(
        seed=seed,
        rig=scene.rig,
        setting=scene.setting,
        static=is_static(scene),
        sound=np.stack(pieces),
        piece=piece,
        first=first,
        end_s=end_s,
        truth={
            offset: [truth_frame(scene.labels(float(end + offset))) for end in end_s]
            for offset in TRUTH_OFFSETS_S
        },
        array=true_array(scene),
    )


class WindowStore:
    """A set of windows in a folder.

    Attributes:
        setting: setting of its drives.
        folder: folder of the set; None stores nothing.
    """

    def __init__(self, root: Path | None, setting: WindowSetting, rig: Rig) -> None:
        """Open a set; nothing is written yet.

        Args:
            root: folder of all sets; None stores nothing.
            setting: setting of the drives.
            rig: microphones and camera that the drives are rendered for.
        """
        self.setting, self._rig = setting, rig
        self._recordings = None
        if setting.recordings:
            self._recordings = load_recordings(setting.recordings, rig.sample_rate_hz)
        self._sounds = None
        if setting.sounds:
            self._sounds = SoundFolder.of(setting.sounds, rig.sample_rate_hz)
        self._key = setting.key(rig)
        self.folder = None
        if root is not None:
            text = json.dumps(self._key, sort_keys=True)
            self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]

    def drive(self, seed: int, keep: bool = True) -> DriveWindows:
        """Load a drive from disk, or render it.

        Args:
            seed: seed of the drive.
            keep: write the drive to disk if it is missing there.
        """
        path = self._path(seed)
        if path is not None and path.exists():
            try:
                return read_drive(path, seed, self._its_rig(seed))
            except (OSError, ValueError, KeyError, EOFError, BadZipFile):
                pass  # damaged: render it again
        windows = self._render(seed)
        if keep and path is not None:
            write_drive(path, windows)
        return windows

    def prepare(self, seeds: list[int], limit_bytes: int) -> tuple[int, list[str]]:
        """Make room for a run, and check that the stored sound is still valid.

        The first drive found on disk is rendered again. If it differs, the simulator has changed
        since, and the whole set is deleted.

        Args:
            seeds: seeds of the wanted drives.
            limit_bytes: maximum size of all sets together; the least recently used sets are
                deleted first, as a whole.

        Returns:
            How many of the seeds may be stored on disk, and sentences for the user.

        Raises:
            AvdetError: the folder cannot be used.
        """
        if self.folder is None:
            return 0, []
        notes: list[str] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            stored = [seed for seed in seeds if self._file(seed).exists()]
            if stored and not self._sounds_the_same(stored[0]):
                notes.append(f'{self.folder}: the simulator has changed: all is rendered again')
                shutil.rmtree(self.folder)
                self.folder.mkdir()
            with write_atomically(self.folder / 'set.json') as file:
                file.write(json.dumps(self._key, indent=1).encode())
            drive_bytes = self._drive_bytes()
            needed_bytes = drive_bytes * len(seeds)
            self._make_room(max(limit_bytes - needed_bytes, 0))
        except OSError as error:
            raise AvdetError(f'cannot use {self.folder}: {explain_os_error(error)}') from error
        if needed_bytes > limit_bytes:
            notes.append(
                f'{self.folder}: {needed_bytes / 1e9:.1f} GB of windows are more than the '
                f'{limit_bytes / 1e9:.1f} GB allowed: the rest is rendered each time'
            )
        return min(limit_bytes // drive_bytes, len(seeds)), notes

    def _render(self, seed: int) -> DriveWindows:
        return render_drive(self.setting, seed, self._rig, self._recordings, self._sounds)

    def _path(self, seed: int) -> Path | None:
        return None if self.folder is None else self._file(seed)

    def _file(self, seed: int) -> Path:
        assert self.folder is not None  # callers check this
        return self.folder / f'{seed}.npz'

    def _its_rig(self, seed: int) -> Rig:
        return self.setting.condition.rig(seed, self._rig)

    def _drive_bytes(self) -> int:
        front_end = FrontEnd(sample_rate_hz=self._rig.sample_rate_hz)
        cut = self.setting.cut
        seconds = cut.windows * front_end.window_s if cut.windows else cut.seconds
        return round(16 * seconds * front_end.sample_rate_hz) + 20_000

    def _sounds_the_same(self, seed: int) -> bool:
        try:
            kept = read_drive(self._file(seed), seed, self._its_rig(seed))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return False
        now = self._render(seed)
        if kept.sound.shape != now.sound.shape:
            return False
        apart = np.abs(kept.sound.astype(np.int32) - now.sound)
        boxes = [
            np.array_equal(a.boxes_px, b.boxes_px)
            for offset in TRUTH_OFFSETS_S
            for a, b in zip(kept.truth[offset], now.truth[offset], strict=True)
        ]
        return bool(apart.max() <= SAME_WITHIN and all(boxes))

    def _make_room(self, others_bytes: int) -> None:
        """Delete the least recently used other sets until they take at most `others_bytes`."""
        assert self.folder is not None  # called only when sets are stored
        sets = [entry for entry in self.folder.parent.iterdir() if (entry / 'set.json').is_file()]
        others = sorted(
            (entry for entry in sets if entry != self.folder),
            key=lambda entry: (entry / 'set.json').stat().st_mtime,
        )
        sizes = {entry: sum(f.stat().st_size for f in entry.iterdir()) for entry in others}
        total = sum(sizes.values())
        for entry in others:
            if total <= others_bytes:
                break
            shutil.rmtree(entry)
            total -= sizes[entry]


def folder_digest(folder: Path) -> str:
    """Hash the names and contents of a folder's recordings to 16 hexadecimal digits.

    Raises:
        AvdetError: the folder cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for path in sorted(folder.rglob('*')):
            if path.suffix.lower() in SUFFIXES:
                digest.update(str(path.relative_to(folder)).encode() + b'\0')
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise AvdetError(
            f'{folder}: expected a folder of recordings: {explain_os_error(error)}'
        ) from error
    return digest.hexdigest()[:16]
