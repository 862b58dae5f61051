"""Records of drives: windows are added and kept apart."""

from __future__ import annotations

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.runs.detectors import detect_window
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame, keep_apart


class Fixed:
    """Finds the same box in every window, and records its inputs."""

    def __init__(self, left):
        self.found = Detections(np.float32([[left, 0, left + 10, 10]]), np.float32([0.5]))
        self.given = []

    def detect(self, waveform, spectrogram):
        self.given.append((waveform, spectrogram))
        return self.found


def test_window_is_run_through_every_detector_once():
    detectors = {'a': Fixed(0), 'b': Fixed(100)}
    record = DriveRecord.empty('drive', detectors, {'light': 'night'})
    other = DriveRecord.empty('drive', detectors)
    spectrogram = np.zeros((32, 80, 173), np.float32)
    result = detect_window(detectors, None, spectrogram)
    truth = TruthFrame.of([[0, 0, 10, 10]], [1])
    record.add_window(0.5, truth, result)
    record.add_window(0.6, truth, result)
    other.add_window(0.5, TruthFrame.of([], []), result)
    assert [given[0][1] is spectrogram for given in (d.given for d in detectors.values())]
    assert all(len(detector.given) == 1 for detector in detectors.values())
    assert record.stamps_s == [0.5, 0.6]
    assert [frames[0].boxes_px[0, 0] for frames in record.detections.values()] == [0, 100]
    assert all(len(times) == 2 and min(times) >= 0 for times in record.milliseconds.values())
    assert record.conditions == {'light': 'night'}
    assert other.conditions == {}
    assert len(other.truth[0]) == 0


def test_windows_of_one_drive_are_kept_apart():
    records = [DriveRecord('a', [0.0, 0.5, 1.0, 5.0]), DriveRecord('b', [0.0])]
    places = [(0, 1), (0, 0), (0, 2), (1, 0), (0, 3)]
    assert keep_apart(records, places, 9, 1.0) == [(0, 1), (1, 0), (0, 3)]
    assert keep_apart(records, places, 2, 1.0) == [(0, 1), (1, 0)]
    assert keep_apart(records, places, 9, 1.0, others=[(0, 3)]) == [(0, 1), (1, 0)]
    assert keep_apart(records, places, 9, 0.5) == [(0, 1), (0, 0), (0, 2), (1, 0), (0, 3)]
