"""What has become of each bag, noted in the data set's folder, so that a second run goes on."""

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
"""Folder of the drive that is being written; what is in it counts for nothing."""


@dataclass
class DriveReport:
    """What became of one bag.

    Attributes:
        bag: its path.
        drive: the drive's folder.
        frames: frames written.
        without_sound: pictures left out since their second of sound is not whole.
        missing: frames without a picture, by modality.
        with_truth: frames whose true boxes the bag holds, as bags of simulated drives do.
        gaps: pieces of sound lost.
        lost_s: seconds of sound lost.
        camera: where size and matrix of the RGB camera come from.
        pose: sentences about poses that are not the bag's.
        bad: sentences about what was damaged and left out or mended.
        alignment: how other cameras' pictures were laid over the RGB camera's.
        thermal: what the thermal camera's counts were taken for.
        motion: where the vehicle's speed comes from and how much of it is known.
        split: train, val or test.
        settings: the options that it was made with.
        partial: None, or why this is not the whole drive.
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
    """What an earlier run with the same bags and options has finished in a folder.

    Raises:
        AvdetError: the folder holds something else.
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
    """Write what has become a drive so far: `INDEX` and the lists of the splits.

    Args:
        out: the data set's folder.
        reports: of its drives.
        ids: their frames.
        splits: split of each drive.
    """
    write_lists(out, ids, splits)
    text = json.dumps([asdict(report) for report in reports], indent=2)
    with write_atomically(out / INDEX) as file:
        file.write(f'{text}\n'.encode())
