"""The table of `avdet sim check`: every line agrees, and a wrong one is found."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from avdet_ros.cli.main import app
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation import check
from avdet_ros.simulation.check import Finding


@pytest.mark.slow
def test_every_line_agrees(monkeypatch):
    monkeypatch.setattr(check, 'SRP_SEEDS', check.SRP_SEEDS[:30])  # the same median, sooner
    findings = list(check.check(load_rig()))
    assert len(findings) == 14
    assert [finding.what for finding in findings if not finding.passed] == []


def test_a_wrong_line_is_reported(monkeypatch):
    wrong = Finding('speed of light', 'm/s', 2.0, 3.0, 0.5, 'physics')
    monkeypatch.setattr(check, 'check', lambda rig: iter([wrong]))
    monkeypatch.setattr(check, 'render_factor', lambda rig: 15.0)
    result = CliRunner().invoke(app, ['sim', 'check'])
    assert '| speed of light | 2 m/s | 3 | 0.5 | physics |' in result.output
    assert isinstance(result.exception, AvdetError)
    assert 'speed of light' in str(result.exception)
