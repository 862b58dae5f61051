"""Index of the bags converted so far, kept in the data set's folder so a second run continues."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
from typing import Any

from avdet_ros.bags.drive_files import write_lists
from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically

INDEX = 'dataset.json'
UNFINISHED = 'unfinished.part'
"""Folder of the drive being written; its content is discarded after an interruption."""


@dataclass
class DriveReport:
    """Result of converting one bag.

    Attributes:
        bag: its path.
        drive: the drive's folder.
        frames: frames written.
        without_sound: pictures left out because their second of sound is incomplete.
        missing: number of frames without a picture, by modality.
        with_truth: frames with true boxes in the bag, as in bags of simulated drives.
        gaps: number of gaps in the sound.
        lost_s: seconds of sound lost.
        camera: source of the RGB camera's size and matrix.
        pose: sentences about poses that do not come from the bag.
        bad: sentences about damaged data that was left out or repaired.
        alignment: how the other cameras' pictures were aligned with the RGB camera's.
        thermal: the scale assumed for the thermal camera's counts.
        motion: source of the vehicle's speed and how much of it is known.
        split: train, val or test.
        settings: options of the conversion.
        partial: None, or why the drive is incomplete.
    """

    bag: str
    drive: str
    frames: int = 0
    without_sound: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    with_truth: int = 0
    gaps: int = 0
    lost_s: float = 0.0
    camera: str = ''
    pose: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    alignment: dict[str, str] = field(default_factory=dict)
    thermal: str = ''
    motion: str = ''
    split: str = ''
    settings: dict[str, Any] = field(default_factory=dict)
    partial: str | None = None


def finished_drives(
    out: Path, names: dict[Path, str], settings: dict[str, Any]
) -> tuple[list[DriveReport], list[layout.FrameId]]:
    """Return the drives and frames that an earlier run with the same bags and options finished.

    Raises:
        AvdetError: the folder contains something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return [], []
    index = out / INDEX
    sources = {drive: path for path, drive in names.items()}
    try:
        reports = [DriveReport(**entry) for entry in json.loads(index.read_bytes())]
        same = all(
            Path(report.bag) == sources.get(report.drive) and report.settings == settings
            for report in reports
        )
    except (OSError, ValueError, TypeError):
        reports, same = [], (out / UNFINISHED).is_dir() and len(list(out.iterdir())) == 1
    whole = all((out / report.drive / layout.DONE).is_file() for report in reports)
    if not same or not whole:
        raise AvdetError(
            f'{out}: expected a new or empty folder for the data set, or one that these bags were '
            'being converted to with the same options, found files'
        )
    lists = [layout.split_path(out, split) for split in layout.SPLITS]
    return reports, [frame for path in lists if path.exists() for frame in layout.read_ids(path)]


def write_index(
    out: Path, reports: list[DriveReport], ids: list[layout.FrameId], splits: dict[str, str]
) -> None:
    """Write `INDEX` and the split files for the drives converted so far.

    Args:
        out: the data set's folder.
        reports: of the drives.
        ids: frames of the drives.
        splits: split of each drive.
    """
    write_lists(out, ids, splits)
    text = json.dumps([asdict(report) for report in reports], indent=2)
    with write_atomically(out / INDEX) as file:
        file.write(f'{text}\n'.encode())
