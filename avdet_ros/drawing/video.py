"""Writing of pictures to a video file, and contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import queue
import threading

import cv2
import numpy as np

_WAITING_FRAMES = 60


class VideoWriter:
    """An H.264 file, encoded by ffmpeg in a separate process; the caller never waits for it.

    Attributes:
        frames: number of accepted frames.
        dropped: number of frames dropped because ffmpeg was too slow.
        fault: why writing ended early, or ''.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        """Prepare a file with a given frame rate; it is created with the first frame."""
        self._path, self._rate_hz = path, rate_hz
        self._queue: queue.Queue[np.ndarray | None] = queue.Queue(_WAITING_FRAMES)
        self._thread: threading.Thread | None = None
        self.frames = self.dropped = 0
        self.fault = ''

    def add(self, picture: np.ndarray) -> None:
        """Append a (height, width, 3) uint8 BGR picture of even height and width."""
        if self._thread is None:
            arguments = (picture.shape[1], picture.shape[0])
            self._thread = threading.Thread(target=self._write, args=arguments, daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(picture)
            self.frames += 1
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Finish the file."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(60)
            self._thread = None

    def _write(self, width: int, height: int) -> None:
        writer = None
        try:
            import imageio_ffmpeg

            writer = imageio_ffmpeg.write_frames(
                str(self._path),
                (width, height),
                pix_fmt_in='bgr24',
                fps=self._rate_hz,
                codec='libx264',
                quality=None,
                macro_block_size=2,
                output_params=['-preset', 'superfast', '-crf', '24', '-threads', '1'],
                ffmpeg_log_level='error',
            )
            writer.send(None)
            while (picture := self._queue.get()) is not None:
                writer.send(np.ascontiguousarray(picture))
        except (OSError, RuntimeError, ImportError) as error:
            self.fault = f'{self._path}: {error}'
            while self._queue.get() is not None:  # later frames must not block
                pass
        finally:
            if writer is not None:
                writer.close()


def contact_sheet(
    pictures: Sequence[np.ndarray], columns: int = 2, width_px: int = 960
) -> np.ndarray:
    """Arrange pictures in rows and columns on one sheet.

    Args:
        pictures: (height, width, 3) uint8, all of one size, at least one.
        columns: number of columns.
        width_px: width of each on the sheet.
    """
    height, width = pictures[0].shape[:2]
    size = (width_px, round(width_px * height / width))
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]
    while len(small) % columns:
        small.append(np.zeros_like(small[0]))
    gap = 6
    framed = [cv2.copyMakeBorder(tile, 0, gap, 0, gap, cv2.BORDER_CONSTANT) for tile in small]
    rows = [np.hstack(framed[i : i + columns]) for i in range(0, len(framed), columns)]
    return np.vstack(rows)[:-gap, :-gap]
