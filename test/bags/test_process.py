"""Processing a bag: same windows as live, reproducible output, clear errors on bad input."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from avdet_ros.audio.window import WindowBuffer
from avdet_ros.bags.process import process_bag
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.bags.writer import BagWriter
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    COMPRESSED_IMAGE,
    DETECTIONS,
    IMAGE,
    decode_detections,
    stamp_ns,
)
from avdet_ros.messages.encode_offline import (
    make_header,
    make_sound,
    make_spectrogram,
    make_tracks,
)
from avdet_ros.messages.typestore import serialize
from avdet_ros.tracking.iou import IouTracker

START_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope='session')
def detector(model_path, rig, front_end):
    return Detector(model_path, rig, front_end, providers=['cpu'], threads=1)


@pytest.fixture
def process(rig, front_end, detector):
    return lambda bag, out, **options: process_bag(
        bag, out, rig, front_end, detector, IouTracker(new_track_threshold=0.1), **options
    )


def results(path, name='detections'):
    with Bag(path) as bag:
        found = [decode(m) for m in bag.messages([f'/avdet/{name}'])]
    return [(stamp_ns(m), *decode_detections(m)) for m in found]


def test_windows_and_boxes_match_the_separate_stages(
    process, write_sound, waveform, front_end, detector, tmp_path
):
    write_sound(tmp_path / 'drive')
    report = process(tmp_path / 'drive', tmp_path / 'out')
    windows = WindowBuffer(8, 44100, 1.0, 0.1, 256).push(waveform, 0)
    found = results(tmp_path / 'out')
    assert report.windows == len(windows) == len(found) == 21
    for window, (at_ns, boxes, _) in zip(windows, found, strict=True):
        expected = detector.detect(front_end.compute(window.waveform))
        end_ns = START_NS + round(window.end_sample * 1e9 / 44100)
        assert abs(at_ns - (end_ns - 500_000_000)) <= 20
        expected = expected.above(0.05)
        assert len(expected)
        assert np.allclose(boxes.boxes_px, expected.boxes_px, atol=1e-4)
        assert np.allclose(boxes.scores, expected.scores, atol=1e-6)
    tracks = results(tmp_path / 'out', 'tracks')
    assert {'1', '2'} <= {i for _, _, ids in tracks for i in ids}


def test_same_bag_gives_the_same_bytes(process, write_sound, tmp_path):
    write_sound(tmp_path / 'drive', drop=(40,))
    for name in ('a', 'b'):
        process(tmp_path / 'drive', tmp_path / name)
    for file in ('results.mcap', 'metadata.yaml', 'summary.json'):
        contents = [(tmp_path / name / file).read_bytes() for name in ('a', 'b')]
        assert contents[0] == contents[1]


def test_recorded_spectrograms_give_the_same_boxes_as_sound(
    process, write_sound, waveform, front_end, tmp_path
):
    write_sound(tmp_path / 'drive')
    process(tmp_path / 'drive', tmp_path / 'from_sound')
    with BagWriter(tmp_path / 'spectrograms') as writer:
        for window in WindowBuffer(8, 44100, 1.0, 0.1, 256).push(waveform, 0):
            end_ns = START_NS + round(window.end_sample * 1e9 / 44100)
            header = make_header(end_ns, 'microphone_array')
            image = make_spectrogram(header, front_end.compute(window.waveform))
            writer.write('/avdet/spectrogram', IMAGE, serialize(image), end_ns)
    report = process(tmp_path / 'spectrograms', tmp_path / 'out')
    assert report.source == '/avdet/spectrogram'
    pairs = zip(results(tmp_path / 'from_sound'), results(tmp_path / 'out'), strict=True)
    for (stamp_a, boxes_a, _), (stamp_b, boxes_b, _) in pairs:
        assert abs(stamp_a - stamp_b) <= 20
        assert np.array_equal(boxes_a.boxes_px, boxes_b.boxes_px)


def test_window_grid_matches_capture_when_recording_starts_late(
    process, write_sound, waveform, front_end, tmp_path
):
    """The recorder missed nine blocks of sound; windows still end where they did in capture."""
    windows = WindowBuffer(8, 44100, 1.0, 0.1, 256).push(waveform, 0)
    writer = write_sound(tmp_path / 'drive', drop=range(9), close=False)
    ends = []
    for window in windows[3:]:
        end_ns = START_NS + round(window.end_sample * 1e9 / 44100)
        ends.append(end_ns)
        header = make_header(end_ns, 'microphone_array')
        image = make_spectrogram(header, front_end.compute(window.waveform))
        writer.write('/avdet/spectrogram', IMAGE, serialize(image), end_ns)
    writer.close()
    process(tmp_path / 'drive', tmp_path / 'out')
    stamps = np.array([stamp for stamp, _, _ in results(tmp_path / 'out')]) + 500_000_000
    assert np.abs(stamps - np.array(ends)).max() <= 30


def test_gap_is_counted_and_the_other_windows_are_kept(process, write_sound, tmp_path):
    write_sound(tmp_path / 'drive', drop=range(60, 64))
    report = process(tmp_path / 'drive', tmp_path / 'out')
    assert report.lost_samples == 4 * 1024
    assert 10 <= report.windows_with_gaps <= 11
    assert report.windows == 21 - report.windows_with_gaps
    assert len(results(tmp_path / 'out')) == report.windows


def test_stamps_that_go_back_restart_the_windows(process, write_sound, waveform, tmp_path):
    writer = write_sound(tmp_path / 'drive', close=False)
    for first in range(0, 66150, 1024):
        now = START_NS + round(first * 1e9 / 44100)
        header = make_header(now, 'microphone_array')
        block = make_sound(header, waveform[first : first + 1024])
        writer.write('/avdet/audio', IMAGE, serialize(block), START_NS + 4 * 10**9 + first)
    writer.close()
    report = process(tmp_path / 'drive', tmp_path / 'out')
    assert report.restarts == 1
    assert report.windows == 21 + 6


def test_truncated_bag_gives_partial_results(process, write_sound, tmp_path):
    write_sound(tmp_path / 'drive')
    file = tmp_path / 'drive' / 'drive.mcap'
    os.truncate(file, file.stat().st_size * 3 // 4)
    report = process(tmp_path / 'drive', tmp_path / 'out')
    assert 5 <= report.windows < 21
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert 'drive.mcap' in summary['partial']
    assert len(results(tmp_path / 'out')) == report.windows


def test_invalid_sound_message_is_left_out(process, write_sound, waveform, tmp_path):
    writer = write_sound(tmp_path / 'drive', close=False)
    now = START_NS + 3_000_000_000
    block = make_sound(make_header(now, 'array'), waveform[:1024, :4])
    writer.write('/avdet/audio', IMAGE, serialize(block), START_NS + 15 * 10**8)
    writer.close()
    report = process(tmp_path / 'drive', tmp_path / 'out')
    assert report.windows == 21
    assert report.bad == {'messages that are not sound': 1}
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert '8 channels' in summary['left_out']
    assert '16SC4' in summary['left_out']


def test_results_before_a_change_of_channel_count_are_kept(
    process, write_sound, waveform, tmp_path
):
    writer = write_sound(tmp_path / 'drive', close=False)
    for index in range(200):
        now = START_NS + 3_000_000_000 + index
        block = make_sound(make_header(now, 'array'), waveform[:1024, :4])
        writer.write('/avdet/audio', IMAGE, serialize(block), now + 10**9)
    writer.close()
    with pytest.raises(AvdetError, match=r'/avdet/audio.*8 channels.*16SC4.*200 of 330 messages'):
        process(tmp_path / 'drive', tmp_path / 'out')
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert '16SC4' in summary['partial']
    assert summary['windows'] == len(results(tmp_path / 'out')) == 21


def test_results_before_a_change_of_sample_rate_are_kept(process, write_sound, tmp_path):
    right = [START_NS + round(i * 1024e9 / 44100) for i in range(43 * 32)]
    wrong = [right[-1] + round((i + 1) * 1024e9 / 48000) for i in range(47 * 6)]
    samples = np.zeros((len(right + wrong) * 1024, 8), np.int16)
    write_sound(tmp_path / 'drive', samples=samples, stamps_ns=right + wrong)
    with pytest.raises(AvdetError, match=r'after 3\d.* s: expected 44100 .* found about 48000'):
        process(tmp_path / 'drive', tmp_path / 'out', hop_s=1.0)
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert 'found about 48000' in summary['partial']
    assert 30 <= summary['windows'] <= 33


def test_bags_without_usable_sound_are_rejected_without_output(
    process, write_sound, waveform, tmp_path
):
    write_sound(tmp_path / 'four', samples=np.ascontiguousarray(waveform[:, :4]))
    write_sound(tmp_path / 'unstamped', stamp_ns=0)
    write_sound(tmp_path / 'fast', rate_hz=48000)
    with BagWriter(tmp_path / 'silent') as writer:
        header = make_header(START_NS, 'camera')
        writer.write(
            '/avdet/detections',
            DETECTIONS,
            serialize(make_tracks(header, [])),
            START_NS,
        )
    with BagWriter(tmp_path / 'mistyped') as writer:
        writer.write('/avdet/audio', COMPRESSED_IMAGE, b'', START_NS)
    for name, words in {
        'four': r'four: /avdet/audio: expected sound of 8 channels.*16SC4',
        'unstamped': r'unstamped: /avdet/audio: expected stamps.*found 0',
        'fast': r'fast: /avdet/audio: expected 44100.*about 48000',
        'silent': r'silent: /avdet/audio: expected.*found none.*/avdet/detections',
        'mistyped': r'mistyped: /avdet/audio: expected sensor_msgs/msg/Image, found.*Compressed',
    }.items():
        with pytest.raises(AvdetError, match=words):
            process(tmp_path / name, tmp_path / 'out')
        assert not (tmp_path / 'out').exists()


def test_sound_shorter_than_a_window_is_reported_as_partial(
    process, write_sound, waveform, tmp_path
):
    write_sound(tmp_path / 'drive', samples=waveform[:20000])
    assert 'at least one window' in process(tmp_path / 'drive', tmp_path / 'out').partial
