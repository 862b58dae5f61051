"""Prepare bags that rosbags cannot open in place, in a separate folder.

The sqlite3 reader of rosbags treats the path as a URI, in which ``#``, ``?`` and ``%`` have a
special meaning, and ignores what a killed recorder had written to the write-ahead log. Files
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
"""Endings of message files, plain and compressed."""


def message_files(folder: Path) -> list[Path]:
    """Return a bag folder's files in order of recording: ``x_2.mcap`` before ``x_10.mcap``."""
    return sorted((file for file in folder.iterdir() if is_message_file(file)), key=_part_number)


def is_message_file(path: Path) -> bool:
    """Return whether a path has the name of a message file."""
    return path.name.endswith(ENDINGS)


def needs_staging(file: Path) -> bool:
    """Return whether a message file cannot be opened in place."""
    if file.suffix == '.zstd':
        return True
    return file.suffix == '.db3' and (any(sign in str(file) for sign in '#?%') or _has_log(file))


def stage_file(file: Path, folder: Path, name: str) -> Path:
    """Prepare a file in a folder under a plain name.

    Raises:
        OSError: the file cannot be read or written.
        zstandard.ZstdError, sqlite3.Error: the file is damaged.
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
    """Prepare a whole bag in a folder, with metadata that contains the new file names.

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
