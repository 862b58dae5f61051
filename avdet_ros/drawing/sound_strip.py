"""A scrolling spectrogram of the last seconds of sound, and each microphone's level."""

from __future__ import annotations

import cv2
import numpy as np

from avdet_ros.rig import MICROPHONES

_SILENT_DB = -100.0
_SMALLEST_SPAN_DB = 25.0


class SoundStrip:
    """Collects windows' log-mel levels into one strip."""

    def __init__(
        self, seconds: float = 6.0, n_mels: int = 80, frame_rate_hz: float = 172.27
    ) -> None:
        """Make an empty strip.

        Args:
            seconds: length of the strip.
            n_mels: number of rows.
            frame_rate_hz: frames per second.
        """
        self._frame_rate_hz = frame_rate_hz
        self._seconds = seconds
        self._strip = np.full((n_mels, round(seconds * frame_rate_hz)), _SILENT_DB, np.float32)
        self._end_s: float | None = None
        self.levels_db = np.full(MICROPHONES, _SILENT_DB)

    def add(self, end_s: float, log_mel_db: np.ndarray) -> None:
        """Append the new frames of a window.

        Args:
            end_s: the window's end.
            log_mel_db: (8, n_mels, frames) dB.
        """
        frames = log_mel_db.shape[2]
        since_s = np.inf if self._end_s is None else end_s - self._end_s
        if since_s < 0:
            self._strip[...] = _SILENT_DB
            since_s = np.inf
        new = int(np.clip(round(min(since_s, 60.0) * self._frame_rate_hz), 1, frames))
        new = min(new, self._strip.shape[1])
        fresh = log_mel_db[:, :, -new:]
        self._strip[:, :-new] = self._strip[:, new:].copy()
        self._strip[:, -new:] = fresh.mean(axis=0)
        power = 10 ** (fresh / 10)
        self.levels_db = 10 * np.log10(np.maximum(power.mean(axis=(1, 2)), 1e-10))
        self._end_s = end_s

    def picture(self, height_px: int, width_px: int) -> np.ndarray:
        """Draw the strip, high frequencies at the top, now at the right; (h, w, 3) uint8 BGR."""
        audible = self._strip[:, self._strip.max(axis=0) > _SILENT_DB]
        if audible.size:
            low, high = np.percentile(audible[:, ::4], [10, 99.7])
        else:
            low, high = _SILENT_DB, 0.0
        span = max(high - low, _SMALLEST_SPAN_DB)
        grey = np.clip((self._strip[::-1] - low) * (255 / span), 0, 255).astype(np.uint8)
        grey = cv2.resize(grey, (width_px, height_px), interpolation=cv2.INTER_AREA)
        return cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)
