"""Windows and status of node capture, step by step and without DDS."""

from __future__ import annotations

from dataclasses import replace
import json
from types import SimpleNamespace

from helpers.array_models import tiny_array_model
from helpers.models import save_model
from helpers.running_nodes import report_of
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from avdet_ros.audio.features import FrontEnd
from avdet_ros.messages.decode import decode_spectrogram, stamp_ns
from avdet_ros.messages.encode import encode_header, encode_sound
from avdet_ros.nodes import capture_array as array_module
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.capture_array import CaptureArray
from avdet_ros.nodes.diagnostics import Report

pytestmark = pytest.mark.ros

S = 1_000_000_000
RATE_HZ = 44100
TOPIC = '/avdet/audio'


def fake_publisher(node, name, listeners=0):
    """A fake publisher that stores messages; `node.listeners` sets its subscriber count."""
    node.sent[name] = []
    return SimpleNamespace(
        publish=node.sent[name].append,
        topic_name=f'/avdet/{name}',
        get_subscription_count=lambda: node.listeners.get(name, listeners),
    )


@pytest.fixture
def capture(ros):
    """Make an active capture of topic audio that is not spun and has no running worker."""
    made = []

    def make(**parameters):
        given = {'source': 'topic', 'hop_s': 0.1, **parameters}
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        node = CaptureNode(namespace='/avdet', parameter_overrides=overrides)
        made.append(node)
        assert node.try_start(), node.fault
        node._worker.stop()
        node.due, node.sent, node.listeners, node.numbers, node.steps = [], {}, {}, {}, []
        node._worker = SimpleNamespace(
            put=node.due.append, dropped=0, stop=lambda: None, clear=node.due.clear
        )
        node._spectrogram = fake_publisher(node, 'spectrogram')
        names = {
            node._features_ms: 'features',
            node._sent_ms: 'late',
            node._gap_samples: 'gap',
        }
        node.publish_number = lambda publisher, value: node.numbers.update(
            {names[publisher]: value}
        )
        node._steps = SimpleNamespace(
            publish=lambda end_ns, **at_ns: node.steps.append((end_ns, list(at_ns.items())))
        )
        node.now = 100 * S
        node.now_ns = lambda: node.now
        return node

    yield make
    for node in made:
        node.destroy_node()


def noise(samples, seed=3):
    rng = np.random.default_rng(seed)
    return rng.integers(-3000, 3000, (samples, 8)).astype(np.int16)


def send_sound(node, first_s, samples=4410, since_s=90.0):
    head = encode_header(round((since_s + first_s) * S), 'array')
    node._on_audio(encode_sound(head, noise(samples)))


def test_windows_are_due_once_per_hop_with_their_sample_times(capture):
    node = capture()
    for k in range(13):
        send_sound(node, k / 10)
    ends_s = [due.end_ns / S - 90 for due in node.due]
    assert ends_s == pytest.approx([1.0, 1.1, 1.2, 1.3], abs=0.006)
    assert {due.start_ns for due in node.due} == {90 * S}
    assert {due.taken_ns for due in node.due} == {100 * S}
    values = report_of(node).values
    assert (values['samples_lost'], values['time_jumps'], values['wrong_stamps']) == (
        '0',
        '0',
        '0',
    )
    assert node._samples.count == 13 * 4410


def test_window_is_sent_with_its_stamp_latencies_and_steps(capture, front_end):
    node = capture()
    node.listeners['spectrogram'] = 1
    for k in range(11):
        send_sound(node, k / 10)
    due = node.due[0]
    node.now = due.end_ns + 40_000_000
    node._publish(due)
    (message,) = node.sent['spectrogram']
    assert stamp_ns(message) == due.end_ns
    assert message.header.frame_id == node._rig.array_frame_id
    assert decode_spectrogram(message, 'x').shape == (64, front_end.n_mels, front_end.frames)
    assert node.numbers['late'] == pytest.approx(40)
    assert node.numbers['gap'] == 0
    assert 0 < node.numbers['features'] < 10_000
    ((end_ns, steps),) = node.steps
    assert end_ns == due.end_ns
    assert [step for step, _ in steps] == ['block', 'handed', 'features', 'message', 'sent']
    assert steps[0][1] == 100 * S
    assert {at for _, at in steps[1:]} == {node.now}
    values = report_of(node).values
    assert (values['windows_out'], values['spectrogram_latency_ms_max']) == ('1', '40')
    assert float(values['features_ms_max']) == pytest.approx(node.numbers['features'], rel=1e-3)
    assert report_of(node).message == '1 windows sent'


@pytest.mark.parametrize(('pairs', 'channels'), [(28, 64), (12, 32), (None, 32)])
def test_features_have_the_pair_count_of_the_model(capture, tmp_path, capfd, pairs, channels):
    path = tmp_path / 'model.onnx'
    if pairs is not None:
        save_model(tiny_array_model(FrontEnd(pair_count=pairs)), path)
    node = capture(model=str(path))
    assert ('features are of 12 pairs of microphones: ' in capfd.readouterr().err) == (not pairs)
    node.listeners['spectrogram'] = 1
    for k in range(11):
        send_sound(node, k / 10)
    node._publish(node.due[0])
    (message,) = node.sent['spectrogram']
    assert (message.encoding, len(decode_spectrogram(message, 'x'))) == (
        f'32FC{channels}',
        channels,
    )


def test_window_is_handed_over_in_process_before_the_message_is_built(capture):
    node, taken, clock = capture(), [], iter(range(10, 90, 10))
    features, end_ns = np.zeros((32, 80, 173), np.float32), 95 * S
    node.now_ns = lambda: next(clock)
    assert node._send(features, end_ns) == (10, 10)  # no subscriber
    node.listeners['spectrogram'] = 1
    assert node._send(features, end_ns) == (30, 40)  # built, sent
    node.hand_over.subscribe('/avdet/spectrogram', taken.append)
    assert node._send(features, end_ns) == (50, 50)  # in-process first
    assert (taken[0].end_ns, taken[0].features is features) == (end_ns, True)
    assert len(node.sent['spectrogram']) == 2


@pytest.mark.parametrize(('gap_windows', 'sent'), [('drop', 3), ('send', 13)])
def test_gap_is_counted_and_its_windows_are_dropped_or_sent(capture, gap_windows, sent):
    node = capture(gap_windows=gap_windows)
    for k in range(12):
        send_sound(node, k / 10)
    for k in range(13, 24):  # a tenth of a second is missing, which affects ten windows
        send_sound(node, k / 10)
    values = report_of(node).values
    assert values['samples_lost'] == '4410'
    assert (values['windows_with_gaps'], len(node.due)) == ('10', sent)
    gaps = [due.window.gap_samples for due in node.due]
    assert (sum(gap > 0 for gap in gaps), max(gaps)) == ((10, 4410) if sent > 3 else (0, 0))


def test_changed_hop_restarts_the_window_grid_and_the_same_hop_does_not(capture):
    node = capture()
    before = node._buffer
    node.set_parameters([Parameter('hop_s', value=0.1)])
    assert node._buffer is before
    node.set_parameters([Parameter('hop_s', value=0.5)])
    assert node._buffer is not before
    for k in range(21):
        send_sound(node, k / 10)
    ends_s = [due.end_ns / S - 90 for due in node.due]
    assert ends_s == pytest.approx([1.0, 1.5, 2.0], abs=0.006)


def test_time_jump_clears_earlier_sound_and_windows(capture):
    node = capture()
    for k in range(11):
        send_sound(node, k / 10)
    assert node.due
    node._on_jump(SimpleNamespace())
    assert node.due == []
    for k in range(9):
        send_sound(node, k / 10, since_s=20.0)
    assert node.due == []
    send_sound(node, 0.9, since_s=20.0)
    send_sound(node, 1.0, since_s=20.0)
    assert node.due[0].end_ns / S == pytest.approx(21, abs=0.006)
    assert report_of(node).values['time_jumps'] == '1'


def test_invalid_audio_is_rejected_with_one_sentence(capture):
    node = capture()
    node._on_audio(encode_sound(encode_header(0, 'array'), noise(441)))
    message = encode_sound(encode_header(S, 'array'), noise(441))
    message.encoding = '16SC7'
    node._on_audio(message)
    (sentence,) = node.problems.sentences  # only the newest one
    assert sentence.startswith(f'{TOPIC}: ')
    assert node._samples.count == 0


def test_several_publishers_and_silence_are_reported(capture):
    node = capture()
    counted = []
    node.publisher_watch.count = lambda subscription: counted.append(subscription) or 2
    send_sound(node, 0.0)
    report = report_of(node)
    assert f'several publishers on {TOPIC}' in report.message
    assert counted == [node._subscription]
    node.publisher_watch.count = lambda subscription: 1
    node._active_since -= 10
    node._topic_sound.last_s -= 10
    assert report_of(node).message.startswith(f'no publisher on {TOPIC}')
    node.count_publishers = lambda topic: 2
    words = '2 nodes publish /avdet/spectrogram, expected this one (or one of them has just died)'
    assert words in report_of(node).message


def test_missing_samples_of_the_next_window_are_read_in_equal_parts(capture):
    node, asked, wanted = capture(), [], [False]
    node._audio = SimpleNamespace(
        is_wanted=lambda published: asked.append(published) or wanted[0], destroy=lambda: None
    )
    for missing, listened, expected in (
        (44100, False, 1764),  # 25 reads of 40 ms
        (44100, True, 882),  # 50 of 20 ms
        (1764, False, 1764),
        (1765, False, 1765),
        (5000, False, 2500),  # two reads: three would be too short
        (100, True, 100),
    ):
        wanted[0] = listened
        node._buffer = SimpleNamespace(samples_missing=missing, skipped_windows=0)
        assert node._samples_wanted() == expected
    assert set(asked) == {node.p['publish_audio']}


class Array:
    """A fake node with a `CaptureArray`; it records warnings and published states."""

    def __init__(self, rig, every_s=0.0, auto=False):
        self.p = {'array_watch_s': every_s, 'auto_calibrate': auto}
        self.warned, self.published = [], []
        self.array = CaptureArray(self, rig, SimpleNamespace(publish=self.published.append), 12)

    def get_logger(self):
        return SimpleNamespace(warning=self.warned.append)

    def states(self):
        return [json.loads(message.data) for message in self.published]

    def report(self):
        report = Report()
        self.array.diagnose(report)
        return report


class Watch:
    """Replaces the slow watch and records its calls."""

    def __init__(self, rig, every_s, on_changes):
        self.rig, self.every_s, self.on_changes = rig, every_s, on_changes
        self.calls, self.changes, self.summary, self.estimates = [], [], 'listening', 3

    def __getattr__(self, name):
        return lambda *words: self.calls.append((name, *words))


def test_dead_channels_are_excluded_and_reported(rig):
    made = Array(rig)
    array = made.array
    assert array.watch is None
    assert made.report().values == {'channels_out': ''}
    living, alive = array._living, np.ones(8, bool)
    array._living = SimpleNamespace(add=lambda sums: sums, alive=alive)
    before = array.features
    array.add(SimpleNamespace(samples=None, lost=0), False)
    assert (array.features is before, len(made.published)) == (True, 1)
    alive[[2, 5]] = False
    array.add(SimpleNamespace(samples=None, lost=0), True)
    assert array.features is not before
    assert made.states()[1]['alive'] == [True, True, False, True, True, False, True, True]
    report = made.report()
    names = [rig.names[i] for i in (2, 5)]
    assert report.values == {'channels_out': ' '.join(names)}
    channels = [rig.channels[i] for i in (2, 5)]
    assert [sentence for _, sentence in report.faults] == [
        f'{name} (channel {channel}) is dead and left out'
        for name, channel in zip(names, channels, strict=True)
    ]
    assert living.alive.all()


def test_channel_marked_dead_in_the_rig_file_is_not_reported(rig):
    known = replace(rig, alive=np.array([True] * 7 + [False]))
    made = Array(known)
    assert made.states()[0]['alive'] == [True] * 7 + [False]
    assert (made.report().level, made.report().values) == (0, {'channels_out': ''})


@pytest.mark.parametrize('auto', [False, True])
def test_array_changes_are_reported_or_used_for_calibration(rig, monkeypatch, auto):
    monkeypatch.setattr(array_module, 'ArrayWatch', Watch)
    turned = replace(rig, gain_db=np.arange(8.0))
    given = []
    monkeypatch.setattr(
        array_module, 'calibrated_rig', lambda result, now: given.append((result, now)) or turned
    )
    made = Array(rig, 30.0, auto)
    array, watch = made.array, made.array.watch
    assert (watch.rig is rig, watch.every_s, watch.calls) == (True, 30.0, [('start',)])
    array._living = SimpleNamespace(add=lambda sums: False, alive=np.ones(8, bool))
    array.add(SimpleNamespace(samples='sound', lost=7), 'sums')
    array.clear()
    assert watch.calls[1:] == [('add', 'sound', 7), ('clear',)]
    watch.changes = [SimpleNamespace(sentence='gain of left'), SimpleNamespace(sentence='turned')]
    watch.on_changes('result', watch.changes)
    report = made.report()
    values = report.values
    assert (values['array_watch'], values['array_estimates']) == ('listening', '3')
    if auto:
        assert given == [('result', rig)]
        assert watch.calls[3:] == [('use_rig', turned)]
        assert made.warned == ['the array was calibrated again: gain of left; turned']
        assert (values['array_calibrated'], report.level) == ('True', 0)
        assert made.states()[1]['gain_db'] == list(range(8))
    else:
        assert (given, watch.calls[3:], len(made.published)) == ([], [], 1)
        assert made.warned == ['the array differs from the rig: gain of left; turned']
        assert values['array_calibrated'] == 'False'
        assert report.message == (
            'the array has changed: gain of left; the array has changed: turned'
        )
    array.stop()
    assert (watch.calls[-1], array.watch) == (('stop',), None)
    array.stop()
    array.clear()


def test_audio_subscription_has_message_type_image(capture):
    node = capture()
    assert node._subscription.msg_type is Image
