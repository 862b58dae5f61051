"""The version of the program, to record with its results."""

from __future__ import annotations

from pathlib import Path
import subprocess


def git_commit() -> str:
    """Return the commit of the program, empty outside a checkout."""
    try:
        done = subprocess.run(
            ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD'],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ''
    return done.stdout.strip()
