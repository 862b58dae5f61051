"""What the commands print for people."""

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
    """A logger of the package's as `set_up_logging` leaves it."""
    module.set_up_logging()
    return logging.getLogger('avdet_ros.somewhere')


@pytest.fixture
def terminal(monkeypatch) -> io.StringIO:
    """What a terminal of 80 columns would get from the shared console."""
    screen = io.StringIO()
    shown = Console(file=screen, force_terminal=True, width=80, highlight=False)
    monkeypatch.setattr(module, 'console', lambda: shown)
    monkeypatch.delenv('RANK', raising=False)
    return screen


def test_log_lines_are_plain_and_warnings_apart(lines, capsys):
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


def test_one_of_several_processes_speaks(lines, capsys, monkeypatch):
    for rank in '01':
        monkeypatch.setenv('RANK', rank)
        lines.info('process %s', rank)
        lines.error('wrong in %s', rank)
    output = capsys.readouterr()
    assert output.out == 'process 0\n'
    assert output.err == 'wrong in 0\nwrong in 1\n'


def test_no_bars_without_a_terminal():
    assert module.progress_bars() is SILENT
    with SILENT.step('drives', 3) as advance:
        advance()
    assert not SILENT.visible


def test_bars_on_a_terminal_leave_the_end_on_the_screen(terminal):
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


def test_a_step_that_fails_frees_the_screen(terminal):
    def work(progress):
        with progress.step('drives', 3) as advance:
            advance()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(module.progress_bars())
    assert terminal.getvalue().endswith('\x1b[?25h')  # the cursor is shown again


def test_bars_are_for_who_wants_them_and_for_the_first_process(terminal, monkeypatch):
    assert not module.progress_bars(wanted=False).visible
    monkeypatch.setenv('RANK', '1')
    assert not module.progress_bars().visible


def test_the_library_alone_prints_nothing():
    program = 'import logging, avdet_ros; logging.getLogger("avdet_ros.x").info("quiet")'
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, check=True)
    assert done.stdout == done.stderr == b''
