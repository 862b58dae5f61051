"""What capture reports of its source: numbers and the most important sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from avdet_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from avdet_ros.nodes.source_report import BEHIND_S, report_source
from avdet_ros.nodes.topic_health import SILENT_AFTER_S
from avdet_ros.sources.device import DeviceSource

pytestmark = pytest.mark.ros


@pytest.fixture
def report(rig):
    """Reports a source in a given state; the reader has only the attributes that are read."""

    def make(silent_s=0.0, fault='', still=False, **state):
        source = DeviceSource(rig, 'card')
        for name, value in state.items():
            setattr(source, name, value)
        clock = SimpleNamespace(drift=25e-6, jumps=2)
        reader = SimpleNamespace(source=source, clock=clock, reopened=3, fault=fault, still=still)
        result = Report()
        ended = report_source(result, reader, 17, silent_s)
        return result, ended

    return make


def test_report_lists_the_numbers_of_the_source(report):
    result, ended = report(overflows=4, bad_samples=5, behind_s=0.25)
    assert result.values == {
        'source': 'device card',
        'xruns': '4',
        'bad_samples': '5',
        'clock_drift_ppm': '25',
        'clock_jumps': '2',
        'reopened': '3',
        'finished': 'False',
        'behind_s': '0.25',
    }
    assert (result.level, result.message, ended) == (OK, '', False)


def test_ended_source_is_ok_but_a_damaged_one_is_a_warning(report):
    result, ended = report(exhausted=True, doubt='x', trouble='y')
    assert (result.level, result.message, ended) == (
        OK,
        'device card has ended after 17 windows',
        True,
    )
    assert result.values['finished'] == 'True'
    result, ended = report(exhausted=True, damage='a.flac is damaged')
    assert (result.level, ended) == (WARN, True)
    assert result.message == 'a.flac is damaged; 17 windows were sent'


@pytest.mark.parametrize(
    ('state', 'level', 'sentence'),
    [
        ({'doubt': 'two channels are one'}, WARN, 'two channels are one'),
        ({'fault': 'it has gone', 'trouble': 'no'}, ERROR, 'it has gone; trying again'),
        ({'trouble': 'found 48000'}, ERROR, 'found 48000; its sound is not used'),
        ({'behind_s': BEHIND_S}, OK, ''),
        (
            {'behind_s': 0.61},
            WARN,
            'device card is 0.6 s behind real time: this machine is too slow for it',
        ),
        (
            {'still': True, 'silent_s': 9.0},
            WARN,
            'ROS time stands still: sound of this time is not sent',
        ),
        ({'silent_s': SILENT_AFTER_S}, OK, ''),
        ({'silent_s': SILENT_AFTER_S + 0.1}, ERROR, 'no samples from device card'),
    ],
)
def test_most_important_source_problem_is_reported(report, state, level, sentence):
    result, ended = report(**state)
    assert (result.level, result.message, ended) == (level, sentence, False)
