"""When messages are due, and which of them are played to running nodes."""

from __future__ import annotations

import pytest

from avdet_ros.bags.reader import Bag
from avdet_ros.bags.timeline import Timeline, chain_topics, require_topics
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, IMAGE


def test_bag_time_runs_at_its_rate():
    timeline = Timeline(1000, 4.0, steady_s=10.0)
    assert timeline.now_ns(10.5) == 1000 + 2_000_000_000


def test_a_pause_loses_no_bag_time():
    timeline = Timeline(0, 2.0, steady_s=0.0)
    timeline.toggle(1.0)
    assert timeline.paused
    assert timeline.now_ns(9.0) == 2_000_000_000
    timeline.toggle(9.0)
    assert timeline.now_ns(9.5) == 3_000_000_000


def test_time_waits_for_the_message_that_is_not_sent_yet():
    timeline = Timeline(0, 1.0, steady_s=0.0)
    assert timeline.now_ns(5.0, limit_ns=1_000_000_000) == 1_000_000_000
    assert timeline.now_ns(5.5) == 1_500_000_000


def test_a_limit_that_is_not_reached_changes_nothing():
    timeline = Timeline(500, 2.0, steady_s=1.0)
    assert timeline.now_ns(1.5, limit_ns=10**9 + 500) == 10**9 + 500
    assert timeline.now_ns(1.6, limit_ns=3 * 10**9) == 1_200_000_500
    timeline.jump(7, 2.0)
    assert timeline.now_ns(2.25) == 500_000_007
    timeline.toggle(2.25)
    timeline.jump(9, 5.0)
    assert (timeline.now_ns(8.0, limit_ns=3), timeline.paused) == (9, True)


@pytest.mark.parametrize('rate', [0.01, 100.0])
def test_the_slowest_and_the_fastest_rate_are_taken(rate):
    assert Timeline(0, rate, 0.0).now_ns(2.0) == round(2e9 * rate)


@pytest.mark.parametrize('rate', [0.0, 0.0099, 100.1, -1.0, float('nan'), float('inf')])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(AvdetError, match='rate: expected'):
        Timeline(0, rate, 0.0)


@pytest.fixture
def make_bag(tmp_path):
    def make(*names):
        with BagWriter(tmp_path / 'drive') as writer:
            for name in names:
                kind = DETECTIONS if name.endswith(('ions', 'cks')) else IMAGE
                writer.write(name, kind, b'', 1)
        return Bag(tmp_path / 'drive')

    return make


def test_running_nodes_get_what_they_do_not_publish(make_bag):
    with make_bag(
        '/avdet/audio',
        '/avdet/spectrogram',
        '/avdet/detections',
        '/avdet/tracks',
        '/avdet/debug/latency_ms',
        '/camera/image',
        '/camera/debug',
        '/diagnostics',
        '/clock',
        '/car/clock',
    ) as bag:
        assert chain_topics(bag) == (['/avdet/audio', '/camera/image', '/car/clock'], True)
        assert require_topics(bag, ['/avdet/tracks']) == ['/avdet/tracks']
        with pytest.raises(AvdetError, match='/nowhere'):
            require_topics(bag, ['/nowhere'])


def test_without_sound_the_chain_begins_at_the_spectrograms(make_bag):
    with make_bag('/avdet/spectrogram', '/avdet/tracks') as bag:
        assert chain_topics(bag) == (['/avdet/spectrogram'], False)


def test_a_bag_of_results_alone_cannot_feed_the_chain(make_bag):
    words = f'/avdet/audio: expected messages of {IMAGE}, found none; the bag has /avdet/tracks$'
    with make_bag('/avdet/tracks') as bag, pytest.raises(AvdetError, match=words):
        chain_topics(bag)
