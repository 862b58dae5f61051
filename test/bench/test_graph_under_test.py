"""The running graph on a device with known samples: stamps, faults and losses."""

from __future__ import annotations

import time

import numpy as np
import pytest

from avdet_ros.bench import graph_under_test as bench
from avdet_ros.bench.stream_losses import identities, missing_samples, missing_windows
from avdet_ros.bench.virtual_device import missing_programs
from avdet_ros.paths import share

RATE_HZ = 44100
LOOP = 1.7
MODEL = share('models/student.onnx')


def on_the_running_graph(test):
    """Mark a test that runs the whole graph."""
    lacking = ', '.join(missing_programs())
    for mark in (
        pytest.mark.skipif(bool(lacking), reason=f'not installed: {lacking}'),
        pytest.mark.slow,
        pytest.mark.ros,
    ):
        test = mark(test)
    return test


@pytest.fixture(scope='module')
def clicks():
    """Noise with one click every 1.7 s, 0.85 s after the start of the loop."""
    rng = np.random.default_rng(8)
    sound = rng.integers(-300, 300, (round(LOOP * RATE_HZ), 8)).astype(np.int16)
    sound[len(sound) // 2] = 30_000
    return sound


@pytest.fixture(scope='module')
def graph(clicks):
    """A graph whose device is slow by 300 ppm: one minute drifts as much as three at 100 ppm."""
    with bench.GraphUnderTest(clicks, MODEL, drift=300e-6) as graph:
        graph.settle()
        yield graph


@on_the_running_graph
@pytest.mark.parametrize('percentile', [50, pytest.param(99, marks=pytest.mark.timing)])
def test_stamps_are_accurate_while_every_core_is_busy(graph, clicks, percentile):
    from sensor_msgs.msg import Image

    from avdet_ros.nodes import qos

    windows = []
    listening = graph.monitor.subscribe(Image, 'spectrogram', windows.append, qos.ASK_SPECTROGRAM)
    began_s = graph.settle()
    # The sound server and its feeder are real processes, too: if they starve on two cores, the
    # device is late and not the stamps.
    with bench.busy_cores('from avdet_ros.process import lower_priority; lower_priority()'):
        time.sleep(6)
    graph.monitor.destroy(listening)
    errors_ms = np.abs(graph.stamp_errors_ms(began_s))
    assert len(errors_ms) > 30
    assert np.percentile(errors_ms, percentile) < 2
    heard_s = np.array([time_s for window in windows for time_s in click_times(window)])
    first, period = len(clicks) // 2, len(clicks)
    number = np.round(((heard_s - graph.device.origin_s) * RATE_HZ - first) / period)
    errors_ms = 1e3 * np.abs(heard_s - graph.device.captured_s(first + number * period))
    assert len(errors_ms) > 3
    assert np.percentile(errors_ms, percentile) < 2


@on_the_running_graph
def test_missing_provider_is_reported_and_replaced(graph):
    from avdet_ros.bench.faults import provider_lost

    happened = provider_lost(graph).happened
    assert 'CUDAExecutionProvider' in happened
    assert 'works on CPUExecutionProvider' in happened


@on_the_running_graph
def test_full_disk_ends_only_the_recording(graph):
    from avdet_ros.bench.faults import disk_full

    happened = disk_full(graph).happened
    assert 'stays up, exit status 0' in happened
    assert 'opens with 0 messages' not in happened


@on_the_running_graph
def test_second_capture_is_reported_despite_extra_audio_messages(graph):
    from sensor_msgs.msg import Image

    from avdet_ros.bench.faults import two_captures
    from avdet_ros.messages.encode import encode_header, encode_sound

    publisher = graph.monitor.publisher(Image, 'audio')
    graph.wait(publisher.get_subscription_count, 'a listener')
    block = np.full((882, 8), 0.01, np.float32)  # the format of simulated sound
    for _ in range(5):
        publisher.publish(encode_sound(encode_header(time.time_ns(), 'x'), block))
        time.sleep(0.1)
    graph.monitor.destroy(publisher)
    happened = two_captures(graph).happened
    assert '2 nodes publish /avdet/spectrogram' in happened
    assert 'several nodes publish /avdet/spectrogram' in happened


@on_the_running_graph
def test_wait_timeout_reports_the_output_of_the_other_node(graph):
    from avdet_ros.errors import AvdetError

    other = graph.start_other('capture', '/side', source='file', file='/nowhere/drive.wav')
    graph.wait(lambda: 'nowhere' in graph.last_lines(), 'a word about the file')
    with pytest.raises(AvdetError, match=r'expected a miracle within 0\.1 s, .*nowhere'):
        graph.wait(lambda: False, 'a miracle', 0.1)
    assert bench.end(other)[0] == 0
    graph.wait(lambda: 'ended with status 0' in graph.last_lines(), 'its end')


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
@on_the_running_graph
def test_failure_of_the_graph_monitor_is_raised(graph):
    from sensor_msgs.msg import Image

    from avdet_ros.nodes import qos
    from avdet_ros.nodes.graph_monitor import GraphMonitor

    def fail(message):
        raise ValueError('a callback that breaks')

    watched = graph.monitor
    graph.monitor = GraphMonitor(graph.namespace)
    try:
        graph.monitor.subscribe(Image, 'spectrogram', fail, qos.ASK_SPECTROGRAM)
        with pytest.raises(
            RuntimeError, match='the graph monitor has ended: a callback that breaks'
        ):
            graph.wait(lambda: False, 'anything')
    finally:
        graph.monitor.close()
        graph.monitor = watched


@on_the_running_graph
def test_missing_device_channels_are_reported(graph):
    from avdet_ros.bench.faults import fewer_channels

    outcome = fewer_channels(graph)
    assert 'channels are mixtures of the others' in outcome.happened
    assert outcome.recovered_s < 30


def click_times(message):
    """ROS time of a click that is not at the window's edge, from the centre of its energy."""
    from avdet_ros.messages.decode import decode_spectrogram, stamp_ns

    power = 10 ** (decode_spectrogram(message, 'x')[0] / 10)
    energy = power.sum(axis=0)
    peak = int(energy.argmax())
    if not 8 < peak < len(energy) - 8 or energy[peak] < 20 * np.median(energy):
        return []
    near = np.arange(peak - 4, peak + 5)
    weight = energy[near] - np.median(energy)
    in_window_s = (weight @ near) / weight.sum() * 256 / RATE_HZ
    return [stamp_ns(message) * 1e-9 - 1.0 + in_window_s]


def test_missing_windows_are_counted_between_the_first_and_the_last():
    stamps = np.array([0, 1, 2, 5, 6, 6, 9]) * 100_000_000 + 1_700_000_000_000_000_000
    jitter = np.array([0, 3, -4, 2, 1, 1, -2]) * 1_000_000
    assert missing_windows(stamps + jitter) == 4
    assert missing_windows([]) == 0


def test_missing_samples_are_counted_in_any_order():
    assert missing_samples([(100, 50), (0, 90), (150, 10), (200, 5)]) == 50
    assert missing_samples([(5, 10), (5, 10)]) == 0


def test_ids_that_jump_or_end_are_counted():
    here, near, away = (np.array([x, 0, x + 100.0, 50]) for x in (0.0, 20.0, 500.0))
    assert identities([{'1': here}, {'1': near}, {}, {'1': near, '2': away}]) == (0, 0)
    assert identities([{'1': here, '3': away}, {'1': away, '3': away}, {'3': away}]) == (1, 1)
    assert identities([{}, {}]) == (0, 0)


def test_write_section_replaces_a_section_of_the_page(tmp_path):
    from avdet_ros.bench.doc_section import write_section
    from avdet_ros.errors import AvdetError

    page = tmp_path / 'field.md'
    write_section(page, 'faults', 'old table')
    write_section(page, 'soak', 'soak table')
    write_section(page, 'faults', 'new table')
    text = page.read_text()
    assert 'old table' not in text
    assert text.index('new table') < text.index('soak table')
    page.write_text('nothing')
    with pytest.raises(AvdetError, match='expected one <!-- soak -->'):
        write_section(page, 'soak', 'x')
