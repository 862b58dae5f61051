"""Arrays of uncompressed .npz files that stay on disk until they are looked at."""

from __future__ import annotations

from pathlib import Path
import zipfile

import numpy as np


def map_member(path: Path, name: str) -> np.ndarray:
    """Map one array of an uncompressed .npz file into memory, read-only.

    numpy maps .npy files only; inside an uncompressed archive the same bytes follow the member's
    local header (30 bytes, then name and extra field whose lengths stand at bytes 26 and 28).

    Raises:
        ValueError: the member is compressed or not an array.
        KeyError: no such member.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f'{name}.npy')
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f'{name} is compressed')
    with path.open('rb') as file:
        file.seek(member.header_offset + 26)
        lengths = np.frombuffer(file.read(4), '<u2')
        file.seek(member.header_offset + 30 + int(lengths.sum()))
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read_header(file)
        if fortran or dtype.hasobject:
            raise ValueError(f'{name} is not a plain array')
        if 0 in shape:  # there is nothing to map
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, 'r', file.tell(), shape)
