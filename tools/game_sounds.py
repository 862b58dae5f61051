"""Extract recordings from Debian's game data, to test models on sounds of another kind.

    python tools/game_sounds.py OUT

Downloads four packages (`apt-get download`, 1.3 GB; nothing is installed) and writes mono WAV
files:

- ``loops``: engines of 26 cars and four roads, from the racing game TORCS, as vehicle sounds
  (``--recordings OUT/test/loops``);
- ``other``: voices, animals, weather, machines, horns, trains, bells and music from Wesnoth,
  FreedroidRPG and SuperTuxKart, as other sounds (``--distractors OUT/test/other``).

Half of each, every second file, is in ``OUT/teach`` for training, the rest in ``OUT/test``. The
sounds belong to their authors, under the licences in the packages; none ships with this package.
"""

from __future__ import annotations

from pathlib import Path
import re
import subprocess
import sys
import tempfile

import numpy as np
from rich.progress import track
import soundfile

PARTS, USES = ('loops', 'other'), ('teach', 'test')

PACKAGES = ('torcs-data', 'wesnoth-1.16-data', 'freedroidrpg-data', 'supertuxkart-data')

TYRES = ('axle', 'out_of_road', 'out_of_road-3', 'road-ride')
NEITHER = re.compile(r'backfire|boom|crash|gear|locked|skid|turbo')
"""TORCS files that are neither an engine nor a road."""

VEHICLES = re.compile(r'engine|car_|skid')
"""Files of the other games that may rightly be taken for a vehicle."""

LOOP_KMH = 60
"""Assumed speed of all loops; TORCS does not state it."""

SHORTEST_LOOP_S, SHORTEST_S, LONGEST_S = 0.6, 2.0, 20.0
EVERY_MUSIC = 5
"""Only every fifth piece of music is used; otherwise, music would be half of all sounds."""

LEAST = 1e-3
"""Minimum root mean square of an audible sound, re full scale 1."""


def fetch(folder: Path) -> list[Path]:
    """Download and unpack the packages; return the sound files, sorted."""
    subprocess.run(['apt-get', 'download', *PACKAGES], cwd=folder, check=True)
    for package in sorted(folder.glob('*.deb')):
        subprocess.run(['dpkg-deb', '-x', package, folder / 'unpacked'], check=True)
    found = (folder / 'unpacked').rglob('*')
    return sorted(path for path in found if path.suffix in ('.wav', '.ogg') and path.is_file())


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """Read the beginning of a sound as mono; empty if the file cannot be read."""
    try:
        rate_hz = soundfile.info(path).samplerate
        sound, _ = soundfile.read(path, round(LONGEST_S * rate_hz), always_2d=True)
    except soundfile.LibsndfileError:
        return np.empty(0), 1
    return sound.mean(axis=1), rate_hz


def main(out: Path) -> None:
    """Download, sort and write the sounds."""
    for part in PARTS:
        for use in USES:
            (out / use / part).mkdir(parents=True)
    counts = {'engine': 0, 'tyre': 0, 'other': 0}
    with tempfile.TemporaryDirectory() as folder:
        sounds = fetch(Path(folder))
        music = [path for path in sounds if path.parent.name == 'music']
        left_out = {*music} - {*music[::EVERY_MUSIC]}
        for found in track(sounds, 'sorting'):
            racing = 'torcs' in found.parts
            if found in left_out or (NEITHER if racing else VEHICLES).search(found.stem):
                continue
            sound, rate_hz = read_mono(found)
            long = len(sound) / rate_hz >= (0.1 if racing else SHORTEST_S)
            if not long or np.sqrt(np.mean(sound**2)) < LEAST:
                continue
            role = 'other'
            if racing:
                role = 'tyre' if found.stem in TYRES else 'engine'
                sound = np.tile(sound, int(np.ceil(SHORTEST_LOOP_S * rate_hz / len(sound))))
                name, part = f'{role}_{found.stem}_{LOOP_KMH}kmh', 'loops'
            else:
                name, part = f'{counts[role]:03d}_{found.stem}', 'other'
            path = out / USES[counts[role] % 2] / part / f'{name}.wav'
            counts[role] += 1
            soundfile.write(path, sound, rate_hz, subtype='PCM_16')
    print(f'{out}:', ', '.join(f'{count} {role}' for role, count in counts.items()))


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
