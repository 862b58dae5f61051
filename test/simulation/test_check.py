"""The table of `avdet sim check`: every line agrees, and a wrong line is reported."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from avdet_ros.cli.main import app
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation import check
from avdet_ros.simulation.check import Finding

KEPT = (
    ('Doppler, 30 m/s past at 5 m, worst error', 'ppm', 0.737, 0, 10, 'closed form'),
    ('delay between standing microphones, error', 'sample', 1.1e-5, 0, 0.01, 'closed form'),
    ('level at double distance', 'dB', -6.0206, -6.0206, 0.01, '1/r'),
    ('air, 100 m at 1000 Hz, 10 C, 70 %', 'dB', 0.3635, 0.3658, 0.1110, 'ISO 9613-1'),
    ('air, 100 m at 4000 Hz, 10 C, 70 %', 'dB', 3.2998, 3.3059, 0.1992, 'ISO 9613-1'),
    ('air, 100 m at 8000 Hz, 10 C, 70 %', 'dB', 11.829, 11.838, 0.4551, 'ISO 9613-1'),
    ('air, 100 m at 12000 Hz, 10 C, 70 %', 'dB', 23.536, 23.756, 0.8127, 'ISO 9613-1'),
    ('car at 30 km/h passing at 7.5 m', 'dB(A)', 66.752, 66.978, 1.0, 'CNOSSOS-EU 2021'),
    ('car at 50 km/h passing at 7.5 m', 'dB(A)', 72.638, 72.959, 1.0, 'CNOSSOS-EU 2021'),
    ('car at 80 km/h passing at 7.5 m', 'dB(A)', 78.987, 79.447, 1.0, 'CNOSSOS-EU 2021'),
    ('coherence of wind between microphones', '', 0.00668, 0, 0.05, 'incoherent'),
    ('coherence of the ego engine', '', 0.9917, 1, 0.05, 'one source'),
    ('projection of known points, worst error', 'px', 0.0, 0, 0.01, 'by hand'),
)
"""All lines but the last, with the values measured when this table was written. A line whose
measured value changes may still agree, but be less accurate."""


@pytest.fixture(scope='module')
def lines():
    return check.check(load_rig())


def test_quick_lines_keep_their_values_and_agree(lines):
    for what, unit, measured, expected, tolerance, source in KEPT:
        found = next(lines)
        assert (found.quantity, found.unit, found.source) == (what, unit, source)
        assert found.expected == pytest.approx(expected, abs=6e-4), what
        assert found.tolerance == pytest.approx(tolerance, rel=1e-3), what
        few = {'ppm': 0.1, 'sample': 1e-5, '': 2e-4}.get(unit, 1e-3)
        assert found.measured == pytest.approx(measured, abs=few), what
        assert found.passed


@pytest.mark.slow
def test_srp_phat_line_agrees(lines, monkeypatch):
    monkeypatch.setattr(check, 'SRP_SEEDS', check.SRP_SEEDS[:30])  # the same median, sooner
    *_, last = lines
    assert (last.quantity, last.unit) == ('SRP-PHAT on a single vehicle, median error', 'degrees')
    assert (last.expected, last.tolerance, last.source) == (0, 1.5, 'geometry at emission')
    assert last.measured == pytest.approx(0.128, abs=0.02)
    assert last.passed


def test_finding_passes_up_to_its_tolerance():
    for measured, passed in ((2.5, True), (3.5, True), (2.4, False), (3.6, False)):
        assert Finding('a', 'b', measured, 3.0, 0.5, 'c').passed == passed


def test_render_factor_is_sound_seconds_per_cpu_second(monkeypatch):
    clock = SimpleNamespace(process_time=iter([10.0, 12.0]).__next__)
    monkeypatch.setattr(check, 'time', clock)
    assert check.render_factor(load_rig(), 0.1) == pytest.approx(0.05)


@pytest.mark.slow
def test_command_reports_wrong_line(monkeypatch):
    wrong = Finding('speed of light', 'm/s', 2.0, 3.0, 0.5, 'physics')
    monkeypatch.setattr(check, 'check', lambda rig: iter([wrong]))
    monkeypatch.setattr(check, 'render_factor', lambda rig: 15.0)
    result = CliRunner().invoke(app, ['sim', 'check'])
    assert '| speed of light | 2 m/s | 3 | 0.5 | physics |' in result.output
    assert isinstance(result.exception, AvdetError)
    assert 'speed of light' in str(result.exception)
