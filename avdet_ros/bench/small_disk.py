"""A disk of a few megabytes, for tests with a full disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import subprocess
import tempfile

DISK_BYTES = 4 << 20
"""Size of the disk."""


@contextmanager
def small_disk() -> Iterator[tuple[Path, str]]:
    """Yield a folder on a disk of `DISK_BYTES`; without the right to mount, any and 'limit'."""
    folder = Path(tempfile.mkdtemp(prefix='avdet-disk-'))
    mounted = False
    if os.geteuid() == 0:
        with suppress(OSError):
            command = ['mount', '-t', 'tmpfs', '-o', f'size={DISK_BYTES}', 'none', str(folder)]
            mounted = subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield folder, 'disk' if mounted else 'limit'
    finally:
        if mounted:
            subprocess.run(['umount', '-l', str(folder)], capture_output=True)
        for path in sorted(folder.rglob('*'), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
