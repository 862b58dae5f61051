"""Timing of replayed messages, and the topics that are played to running nodes."""

from __future__ import annotations

import pytest

from avdet_ros.bags.reader import Bag
from avdet_ros.bags.timeline import Timeline, chain_topics, require_topics
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, IMAGE


def test_bag_time_advances_at_the_given_rate():
    timeline = Timeline(1000, 4.0, steady_s=10.0)
    assert timeline.now_ns(10.5) == 1000 + 2_000_000_000


def test_pause_loses_no_bag_time():
    timeline = Timeline(0, 2.0, steady_s=0.0)
    timeline.toggle(1.0)
    assert timeline.paused
    assert timeline.now_ns(9.0) == 2_000_000_000
    timeline.toggle(9.0)
    assert timeline.now_ns(9.5) == 3_000_000_000


def test_bag_time_waits_for_an_unsent_message():
    timeline = Timeline(0, 1.0, steady_s=0.0)
    assert timeline.now_ns(5.0, limit_ns=1_000_000_000) == 1_000_000_000
    assert timeline.now_ns(5.5) == 1_500_000_000


def test_unreached_limit_has_no_effect_and_jump_sets_the_time():
    timeline = Timeline(500, 2.0, steady_s=1.0)
    assert timeline.now_ns(1.5, limit_ns=10**9 + 500) == 10**9 + 500
    assert timeline.now_ns(1.6, limit_ns=3 * 10**9) == 1_200_000_500
    timeline.jump(7, 2.0)
    assert timeline.now_ns(2.25) == 500_000_007
    timeline.toggle(2.25)
    timeline.jump(9, 5.0)
    assert (timeline.now_ns(8.0, limit_ns=3), timeline.paused) == (9, True)


@pytest.mark.parametrize('rate', [0.01, 100.0])
def test_slowest_and_fastest_rates_are_accepted(rate):
    assert Timeline(0, rate, 0.0).now_ns(2.0) == round(2e9 * rate)


@pytest.mark.parametrize('rate', [0.0, 0.0099, 100.1, -1.0, float('nan'), float('inf')])
def test_invalid_rate_is_rejected(rate):
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


def test_chain_topics_exclude_those_that_nodes_publish(make_bag):
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


def test_chain_starts_at_spectrograms_without_sound(make_bag):
    with make_bag('/avdet/spectrogram', '/avdet/tracks') as bag:
        assert chain_topics(bag) == (['/avdet/spectrogram'], False)


def test_bag_with_only_results_is_rejected(make_bag):
    words = f'/avdet/audio: expected messages of {IMAGE}, found none; the bag has /avdet/tracks$'
    with make_bag('/avdet/tracks') as bag, pytest.raises(AvdetError, match=words):
        chain_topics(bag)
