"""Console output of the commands: log lines and progress bars."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest
from rich.console import Console

from avdet_ros.cli import console as module
from avdet_ros.progress import SILENT


@pytest.fixture
def lines() -> logging.Logger:
    """A logger of the package after `set_up_logging`."""
    module.set_up_logging()
    return logging.getLogger('avdet_ros.somewhere')


@pytest.fixture
def terminal(monkeypatch) -> io.StringIO:
    """The output of the shared console to a terminal of 80 columns."""
    screen = io.StringIO()
    shown = Console(file=screen, force_terminal=True, width=80, highlight=False)
    monkeypatch.setattr(module, 'console', lambda: shown)
    monkeypatch.delenv('RANK', raising=False)
    return screen


def test_log_lines_are_plain_and_warnings_go_to_stderr(lines, capsys):
    module.set_up_logging()  # a second time: no line twice
    lines.info('[process] %d of %d', 1, 2)
    lines.warning('slow')
    lines.debug('not for people')
    output = capsys.readouterr()
    assert output.out == '[process] 1 of 2\n'
    assert output.err == 'slow\n'


def test_long_lines_are_not_wrapped(lines, capsys):
    lines.info('word ' * 60)
    assert capsys.readouterr().out.count('\n') == 1


def test_info_is_logged_by_the_first_process_only(lines, capsys, monkeypatch):
    for rank in '01':
        monkeypatch.setenv('RANK', rank)
        lines.info('process %s', rank)
        lines.error('wrong in %s', rank)
    output = capsys.readouterr()
    assert output.out == 'process 0\n'
    assert output.err == 'wrong in 0\nwrong in 1\n'


def test_progress_bars_are_hidden_without_a_terminal():
    assert module.progress_bars() is SILENT
    with SILENT.step('drives', 3) as advance:
        advance()
    assert not SILENT.visible


def test_progress_bars_leave_their_final_state_on_the_screen(terminal):
    progress = module.progress_bars()
    assert progress.visible
    with progress.step('drives', 3) as advance:
        advance()
        with progress.step('a bag') as part:
            part(7)
        advance(2)
    with progress.step('report'):
        pass
    text = terminal.getvalue()
    assert '3/3' in text
    assert '7/7' in text
    assert '1/1' in text  # a step without parts ends as one


def test_failing_step_restores_the_cursor(terminal):
    def work(progress):
        with progress.step('drives', 3) as advance:
            advance()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(module.progress_bars())
    assert terminal.getvalue().endswith('\x1b[?25h')  # the cursor is shown again


def test_progress_bars_are_shown_on_request_in_the_first_process(terminal, monkeypatch):
    assert not module.progress_bars(wanted=False).visible
    monkeypatch.setenv('RANK', '1')
    assert not module.progress_bars().visible


def test_library_without_logging_setup_prints_nothing():
    program = 'import logging, avdet_ros; logging.getLogger("avdet_ros.x").info("quiet")'
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, check=True)
    assert done.stdout == done.stderr == b''
