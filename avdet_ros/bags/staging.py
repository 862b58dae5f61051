"""Bags that rosbags does not open where they lie, made ready in a folder of their own.

Its sqlite3 reader takes the path for a URI, in which ``#``, ``?`` and ``%`` mean something else,
and leaves out what a recorder that was killed had written to the write-ahead log. Files that were
compressed as a whole are unpacked.
"""

from __future__ import annotations

from pathlib import Path
import shutil
import sqlite3
from typing import Any

import yaml
import zstandard

ENDINGS = ('.mcap', '.db3', '.mcap.zstd', '.db3.zstd')
"""Files of messages, as a whole and compressed."""


def message_files(folder: Path) -> list[Path]:
    """The files of a bag's folder in the order of recording: ``x_2.mcap`` before ``x_10.mcap``."""
    return sorted((file for file in folder.iterdir() if is_message_file(file)), key=_part_number)


def is_message_file(path: Path) -> bool:
    """Whether a name is that of a file of messages."""
    return path.name.endswith(ENDINGS)


def needs_staging(file: Path) -> bool:
    """Whether a file of messages cannot be opened where it lies."""
    if file.suffix == '.zstd':
        return True
    return file.suffix == '.db3' and (any(sign in str(file) for sign in '#?%') or _has_log(file))


def stage_file(file: Path, folder: Path, name: str) -> Path:
    """Make a file ready in a folder under a plain name.

    Raises:
        OSError: it cannot be read or written.
        zstandard.ZstdError, sqlite3.Error: it is damaged.
    """
    inner = file.with_suffix('') if file.suffix == '.zstd' else file
    place = folder / f'{name}{inner.suffix}'
    if file.suffix == '.zstd':
        with file.open('rb') as packed, place.open('wb') as plain:
            zstandard.ZstdDecompressor().copy_stream(packed, plain)
    elif _has_log(file):
        shutil.copy(file, place)
        shutil.copy(_log(file), _log(place))
        with sqlite3.connect(place) as database:
            database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            database.execute('PRAGMA journal_mode=DELETE')
        database.close()
    else:
        place.symlink_to(file.resolve())
    return place


def stage_folder(bag: Path, folder: Path) -> bool:
    """Make a whole bag ready, with metadata that names its files as they are called there.

    Returns:
        Whether the metadata could be read.
    """
    try:
        tree: Any = yaml.safe_load((bag / 'metadata.yaml').read_text(encoding='utf-8'))
        facts = tree['rosbag2_bagfile_information']
        whole = str(facts.get('compression_mode', '')).lower() == 'file'
        names = []
        for number, name in enumerate(facts['relative_file_paths']):
            names.append(stage_file(bag / Path(name).name, folder, f'part_{number}').name)
        facts['relative_file_paths'] = names
        if whole:
            facts.update(compression_mode='', compression_format='')
        text = yaml.safe_dump(tree, sort_keys=False)
        (folder / 'metadata.yaml').write_text(text, encoding='utf-8')
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    except (yaml.YAMLError, zstandard.ZstdError, sqlite3.Error):
        return False
    return True


def _log(file: Path) -> Path:
    return file.with_name(f'{file.name}-wal')


def _has_log(file: Path) -> bool:
    log = _log(file)
    return file.suffix == '.db3' and log.is_file() and log.stat().st_size > 0


def _part_number(file: Path) -> tuple[int, str]:
    number = file.name.removesuffix('.zstd').rpartition('.')[0].rsplit('_', 1)[-1]
    return (int(number) if number.isdecimal() else -1, file.name)
