"""Node capture with files, the simulation, topics and missing devices."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
import soundfile
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray

from avdet_ros.audio.features import FrontEnd
from avdet_ros.messages.decode import decode_sound, decode_spectrogram, stamp_ns
from avdet_ros.messages.encode import encode_header, encode_sound
from avdet_ros.nodes import qos
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.rig import default_rig_path

pytestmark = pytest.mark.ros

RATE_HZ = 44100
FRAME_S = 256 / RATE_HZ
"""Windows end on frames, up to this much early; the first window is late by up to as much."""

EVERY_WINDOW = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
"""A deep queue, so that no window is lost on a busy machine."""


def noise(seconds, channels=8, seed=3):
    rng = np.random.default_rng(seed)
    return rng.integers(-3000, 3000, (round(seconds * RATE_HZ), channels)).astype(np.int16)


@pytest.fixture
def wav(tmp_path):
    def wav(samples, rate_hz=RATE_HZ):
        path = tmp_path / 'drive.wav'
        soundfile.write(path, samples, rate_hz, subtype='PCM_16')
        return str(path)

    return wav


def test_file_source_sends_one_window_per_hop(start, watcher, wait, wav, rig):
    samples = noise(2.0)
    received = watcher.collect(Image, 'spectrogram', EVERY_WINDOW)
    audio = watcher.collect(Image, 'audio', 200)
    start(CaptureNode, source='file', file=wav(samples), hop_s=0.25)
    # On a busy machine late windows are dropped and counted.
    ended = watcher.wait_status(
        'capture',
        'has ended',
        level=0,
        values=lambda v: int(v['windows_out']) + int(v['windows_dropped']) == 5,
    )
    wait(lambda: len(received) == int(ended[2]['windows_out']), 'windows')
    steps = np.diff([stamp_ns(message) for message in received]) * 1e-9 / 0.25
    np.testing.assert_allclose(steps, np.round(steps), atol=0.08)
    assert (np.round(steps) >= 1).all()
    assert received[0].header.frame_id == 'microphone_array'
    assert (received[0].encoding, received[0].height, received[0].width) == ('32FC64', 80, 173)
    # A window is one second long and ends with a frame of 256 samples.
    since_s = (stamp_ns(received[0]) - stamp_ns(audio[0])) * 1e-9
    seconds = 1 + 0.25 * round((since_s - 1) / 0.25)
    last = 256 * max(int(seconds * RATE_HZ / 256), -(-RATE_HZ // 256))
    second = samples[last - RATE_HZ : last]
    expected = FrontEnd.of(rig, 28).compute(second.T.astype(np.float32) / 32768)
    np.testing.assert_allclose(decode_spectrogram(received[0], 'x'), expected, atol=1e-3)
    blocks = [decode_sound(message, 'x') for message in audio]
    assert audio[0].encoding == '16SC8'
    np.testing.assert_array_equal(np.concatenate(blocks)[:RATE_HZ], samples[:RATE_HZ])


def test_audio_switched_off_and_on_stays_contiguous_with_correct_stamps(
    start, watcher, wait, wav, tmp_path
):
    rate_hz = 44120  # no whole number of samples in 20 ms: a message joins two blocks
    rig = tmp_path / 'rig.yaml'
    text = default_rig_path().read_text()
    rig.write_text(re.sub(r'(?m)^( *sample_rate_hz:) \d+', rf'\1 {rate_hz}', text))
    numbered = (np.arange(20 * rate_hz) % 30000)[:, None] * np.ones(8, int)
    audio = watcher.collect(Image, 'audio', 2000)
    file = wav(numbered.astype(np.int16), rate_hz)
    node = start(CaptureNode, source='file', file=file, rig=str(rig))
    for switch in range(12):
        count = len(audio)
        wait(lambda n=count: len(audio) > n + 3, 'sound')
        assert node.set_parameters([Parameter('publish_audio', value=False)])[0].successful
        time.sleep(0.2 + 0.005 * switch)
        assert node.set_parameters([Parameter('publish_audio', value=True)])[0].successful
    count = len(audio)
    wait(lambda: len(audio) > count + 3, 'sound')
    first = int(decode_sound(audio[0], 'x')[0, 0])
    late = []
    for message in audio:
        samples = decode_sound(message, 'x')[:, 0].astype(int)
        assert set(np.diff(samples)) <= {1, -29999}
        since = (stamp_ns(message) - stamp_ns(audio[0])) * 1e-9 * rate_hz
        late.append((since - samples[0] + first + 15000) % 30000)
    # The stamping clock settles within a few milliseconds.
    assert np.ptp(late) < 0.02 * rate_hz


@pytest.mark.parametrize(
    ('channels', 'words'), [(7, 'expected 8 channels, one a microphone, found 7')]
)
def test_file_with_seven_channels_is_rejected(start, watcher, wav, channels, words):
    start(CaptureNode, source='file', file=wav(noise(1.2, channels)))
    status = watcher.wait_status('capture', words, level=2)
    assert 'drive.wav' in status[1]


def test_file_that_appears_later_is_played(start, watcher, wait, wav, tmp_path):
    node = start(CaptureNode, source='file', file=str(tmp_path / 'drive.wav'))
    watcher.wait_status('capture', 'drive.wav', level=2)
    wait(lambda: node.state == 'unconfigured', 'an attempt to end')
    wav(noise(1.5))
    watcher.wait_status('capture', 'has ended after', level=0)


def test_unknown_device_is_reported(start, watcher):
    start(CaptureNode, source='device', device='no such array')
    status = watcher.wait_status('capture', 'no such array', level=2)
    assert status[2]['state'] in ('inactive', 'unconfigured')


def test_simulation_publishes_truth_at_window_ends(start, watcher, wait):
    truth = watcher.collect(Detection2DArray, 'truth', 200)
    received = watcher.collect(Image, 'spectrogram', EVERY_WINDOW)
    start(CaptureNode, source='simulation', seed=300_000, duration_s=3.0)

    # On a busy machine late windows are dropped and counted.
    def is_complete(values):
        return int(values['windows_out']) + int(values['windows_dropped']) == 21

    status = watcher.wait_status('capture', 'has ended', level=0, values=is_complete)
    wait(lambda: len(received) == int(status[2]['windows_out']), 'windows')
    wait(lambda: len(truth) > 20, 'truth')
    ends = {stamp_ns(message) for message in received}
    instants = {stamp_ns(message) for message in truth}
    nearest = [min(abs(end - instant) for instant in instants) for end in ends]
    assert max(nearest) < 1e9 * FRAME_S
    assert all(entry.id.isdecimal() for message in truth for entry in message.detections)


@pytest.fixture
def feed(start, watcher, wait):
    """A capture that subscribes to a topic, and a function that sends sound to it."""
    node = start(CaptureNode, source='topic', hop_s=0.25)
    received = watcher.collect(Image, 'spectrogram', EVERY_WINDOW)
    publisher = watcher.publisher(Image, 'audio', qos.OFFER_STREAM)
    wait(lambda: watcher.node.count_publishers('/avdet/spectrogram'), 'the capture')
    wait(publisher.get_subscription_count, 'the capture to listen')

    def feed(samples, start_s, block=4410):
        for first in range(0, len(samples), block):
            head = encode_header(round((start_s + first / RATE_HZ) * 1e9), 'microphone_array')
            count = int(node._samples.count)
            publisher.publish(encode_sound(head, samples[first : first + block]))
            wait(lambda c=count: node._samples.count > c, 'a block to arrive')
            # Sound arrives faster than in real time; no window may be dropped for that.
            wait(lambda: not node._worker.waiting, 'its windows to be processed')

    return node, publisher, received, feed


def test_sound_of_a_wrong_rate_is_rejected_until_the_rate_is_right(watcher, start, wait):
    node = start(CaptureNode, source='topic')
    received = watcher.collect(Image, 'spectrogram', EVERY_WINDOW)
    publisher = watcher.publisher(Image, 'audio', qos.OFFER_STREAM)
    wait(publisher.get_subscription_count, 'the capture to listen')

    def send(rate_hz, start_s, until):
        block = 4096
        for i, _ in enumerate(iter(until, True)):
            head = encode_header(round((start_s + i * block / rate_hz) * 1e9), 'microphone_array')
            publisher.publish(encode_sound(head, noise(block / RATE_HZ)[:block]))
            time.sleep(0.02)

    words = '/avdet/audio: expected 44100 samples a second as the rig says, found about 48000'
    send(48000, 50.0, lambda: words in watcher.status.get('/avdet/capture', (0, ''))[1])
    assert not received
    send(RATE_HZ, 500.0, lambda: bool(received))
    assert node._topic_sound._watch.other_hz is None


def test_topic_sound_becomes_windows_with_its_stamps(feed, wait):
    _, _, received, send = feed
    send(noise(1.5), 50.0)
    wait(lambda: len(received) == 3, 'three windows')
    ends_s = [stamp_ns(message) * 1e-9 for message in received]
    np.testing.assert_allclose(ends_s, [51.0, 51.25, 51.5], atol=FRAME_S)
    frames = (np.array(ends_s) - 50.0) / FRAME_S
    np.testing.assert_allclose(frames, np.round(frames), atol=1e-3)  # exact sample times


def test_gap_is_counted_and_its_windows_are_not_sent(feed, watcher, wait):
    _, _, received, send = feed
    samples = noise(3.0)
    # The first window is complete with the first frame that ends 1 s after the start.
    first = -(-RATE_HZ // 256) * 256
    send(samples[:first], 50.0)
    send(samples[first:], 50.5 + first / RATE_HZ)
    lost = RATE_HZ // 2
    watcher.wait_status('capture', values=lambda v: abs(int(v.get('samples_lost', 0)) - lost) < 5)
    wait(lambda: len(received) == 1 + 4, 'the windows without a gap')
    ends_s = [stamp_ns(message) * 1e-9 for message in received]
    # The window that would end at 52.5 s starts less than a frame before the gap's end.
    np.testing.assert_allclose(ends_s, [51.0, 52.75, 53.0, 53.25, 53.5], atol=FRAME_S)
    status = watcher.status['/avdet/capture'][2]
    assert int(status['windows_with_gaps']) > 0


def test_windows_with_gaps_are_sent_and_marked_on_request(feed, watcher, wait):
    node, _, received, send = feed
    marks = watcher.collect(Float64, 'debug/gap_samples')
    assert node.set_parameters([Parameter('gap_windows', value='send')])[0].successful
    samples = noise(1.5)
    send(samples[:RATE_HZ], 50.0)
    send(samples[RATE_HZ:], 51.1)
    wait(lambda: len(received) == len(marks) == 3, 'windows and their marks')
    assert [round(mark.data / RATE_HZ, 2) for mark in marks] == [0.0, 0.1, 0.1]


def test_wrong_stamps_and_skipped_windows_are_counted(feed, watcher, wait):
    _, _, received, send = feed
    send(noise(1.1), 50.0)
    send(noise(0.1), 350.0)  # a single wrong stamp
    send(noise(0.4), 51.2)
    watcher.wait_status('capture', values=lambda values: values.get('wrong_stamps') == '1')
    send(noise(1.3), 60.0)
    # The skipped windows would end between 52.6 and 60.0 s, four per second.
    # A status may be made after a window is sent and before it is counted.
    values = watcher.wait_status(
        'capture',
        values=lambda values: (
            int(values.get('windows_skipped', 0)) > 0
            and int(values['windows_out']) == len(received)
        ),
    )[2]
    assert 28 <= int(values['windows_skipped']) <= 31
    assert int(values['samples_lost']) == pytest.approx(8.4 * RATE_HZ, abs=5)
    assert values['time_jumps'] == '0'


def test_time_jump_back_starts_a_new_stream(feed, watcher, wait):
    _, _, received, send = feed
    send(noise(1.25), 5000.0)
    send(noise(1.01), 10.0)
    wait(lambda: len(received) == 3, 'windows')
    ends_s = [stamp_ns(message) * 1e-9 for message in received]
    np.testing.assert_allclose(ends_s, [5001.0, 5001.25, 11.0], atol=FRAME_S)
    watcher.wait_status('capture', values=lambda values: values['time_jumps'] == '1')


def test_invalid_audio_messages_are_rejected_with_a_reason(feed, watcher):
    _, publisher, received, _ = feed
    head = encode_header(50_000_000_000, 'microphone_array')
    seven = encode_sound(head, noise(0.1, 7))
    picture = encode_sound(head, noise(0.1))
    picture.encoding = 'rgb8'
    short = encode_sound(head, noise(0.1))
    short.data = short.data[:-2]
    for message, words in (
        (seven, "found encoding '16SC7'"),
        (picture, "found encoding 'rgb8'"),
        (short, 'found step 16'),
        (encode_sound(encode_header(0, 'x'), noise(0.1)), 'expected a stamp'),
    ):
        publisher.publish(message)
        watcher.wait_status('capture', words, level=2 if not received else 1)
    assert not received


def test_dead_and_clipped_channels_are_reported(feed, watcher):
    _, _, _, send = feed
    samples = noise(1.0)
    samples[:, 2] = 7
    samples[:, 3] += 20_000
    samples[::50, 5] = 32767
    send(samples, 50.0)
    _, sentence, values = watcher.wait_status(
        'capture', 'left (channel 2): dead', since_start=True
    )
    assert 'rear_right (channel 5): clipped' in sentence
    kinds = ('level_db', 'peak_db', 'dc', 'clipped_share', 'dead')
    level_db, peak_db, dc, clipped, dead = (
        [float(number) for number in values[kind].split(' ')] for kind in kinds
    )
    assert len(level_db) == len(peak_db) == 8
    assert level_db[2] < min(level_db[:2])
    assert peak_db[5] == 0 > max(peak_db[:3])
    assert dc[3] == pytest.approx(20_000 / 32768, abs=0.01)
    assert clipped[5] == pytest.approx(0.02, abs=0.01)
    assert clipped[:5] == [0] * 5
    assert dead == [0, 0, 1, 0, 0, 0, 0, 0]


def test_nan_samples_are_reported_and_a_window_is_still_sent(feed, watcher, wait):
    _, _, received, send = feed
    samples = noise(1.01).astype(np.float32) / 32768
    samples[1000, 4] = np.nan
    send(samples, 50.0)
    words = 'rear (channel 4): 1 samples are not numbers'
    watcher.wait_status('capture', words, since_start=True)
    wait(lambda: received, 'a window despite the NaN')
    assert np.isfinite(decode_spectrogram(received[0], 'x')).all()


def test_constant_sound_is_reported(feed, watcher):
    _, _, _, send = feed
    send(np.full((RATE_HZ, 8), 12, np.int16), 50.0)
    watcher.wait_status('capture', 'all channels are constant', since_start=True)


def test_two_captures_on_one_topic_are_reported(start, watcher):
    start(CaptureNode, source='topic')
    start(CaptureNode, source='topic')
    words = '2 nodes publish /avdet/spectrogram, expected this one (or one of them has just died)'
    watcher.wait_status('capture', words)
