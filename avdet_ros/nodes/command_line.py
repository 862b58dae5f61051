"""Command line of a program started by ROS: `--help`, and errors for unknown words.

Needs no ROS and runs before anything is opened. rcl ignores words that it does not know, so
without this check a mistyped word would start the node as if the word were not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
import sys
import textwrap

from avdet_ros.fields import Param
from avdet_ros.graph import as_text
from avdet_ros.quoting import brief_repr, did_you_mean

MISUSED = 2
"""Exit status of a command line with a wrong word."""

_WIDTH = 98
_INDENT = ' ' * 6


def take_words(program: str, about: str, params: Iterable[Param], argv: list[str]) -> None:
    """Print the help and exit if asked for; refuse words that are not ROS arguments.

    Args:
        program: name as in `ros2 run avdet_ros`.
        about: what it does, one sentence.
        params: its parameters.
        argv: the command line, with the program's path first.

    Raises:
        SystemExit: status 0 after the help, `MISUSED` with a sentence about the first wrong word.
    """
    if any(word in ('-h', '--help') for word in argv[1:]):
        print(help_text(program, about, params))
        sys.exit(0)
    words = words_outside_ros_args(argv)
    if words:
        _refuse(_refusal(program, words[0], params))


def words_outside_ros_args(argv: list[str]) -> list[str]:
    """Return the words that rcl leaves to the program: all outside ``--ros-args ... --``."""
    words, in_ros_args = [], False
    for word in argv[1:]:
        if word == '--ros-args':
            in_ros_args = True
        elif in_ros_args and word == '--':
            in_ros_args = False
        elif not in_ros_args:
            words.append(word)
    return words


def split_words(program: str, known: Collection[str], argv: list[str]) -> dict[str, list[str]]:
    """Split a command line of nodes: ``NODE [--ros-args ... --] ... [--ros-args ...]``.

    ROS arguments between a node's name and ``--`` are for that node, the last ones for all.

    Args:
        program: name as in `ros2 run avdet_ros`.
        known: names of nodes.
        argv: the command line, with the program's path first.

    Returns:
        ROS arguments by node, and those for all of them under ''.

    Raises:
        SystemExit: status `MISUSED` with a sentence about the first wrong word.
    """
    arguments: dict[str, list[str]] = {}
    open_words: list[str] | None = None
    for word in argv[1:]:
        if open_words is not None and word != '--':
            open_words.append(word)
        elif open_words is not None:
            if not arguments:
                _refuse(f'{program}: expected a node before the first --, found none')
            arguments[[*arguments][-1]] += open_words
            open_words = None
        elif word == '--ros-args':
            open_words = [word]
        elif word in known and word not in arguments:
            arguments[word] = []
        else:
            hint = ' again' if word in arguments else did_you_mean(word, known)
            expected = f'expected names of nodes ({", ".join(known)}), each once'
            _refuse(f'{program}: {expected}, found {brief_repr(word)}{hint}')
    if not arguments:
        _refuse(f'{program}: expected names of nodes ({", ".join(known)}), found none')
    return {**arguments, '': open_words or []}


def _refuse(sentence: str) -> None:
    print(f'error: {sentence}', file=sys.stderr)
    sys.exit(MISUSED)


def help_text(program: str, about: str, params: Iterable[Param]) -> str:
    """Format the text that `--help` prints."""
    lines = [
        f'usage: ros2 run avdet_ros {program} [--ros-args -p NAME:=VALUE ... -r TOPIC:=OTHER ...]',
        '',
        *textwrap.wrap(about, _WIDTH),
        '',
        'parameters:',
    ]
    for param in params:
        default = as_text(param.default) or "''"
        lines += textwrap.wrap(
            f'{param.name}:={default.replace(",", ", ")}',
            _WIDTH,
            initial_indent='  ',
            subsequent_indent=_INDENT,
        )
        allowed = '' if param.expected() == 'a text' else f' ({param.expected()})'
        live = '; may change while it runs' if param.live else ''
        text = f'{param.description}{allowed}{live}'
        lines += textwrap.wrap(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return '\n'.join(lines)


def _refusal(program: str, word: str, params: Iterable[Param]) -> str:
    name, separator, _ = word.partition(':=')
    names = [param.name for param in params]
    shown = brief_repr(word)
    if separator and name in names:
        return f'{program}: expected --ros-args -p {word}, found {shown} alone'
    hint = did_you_mean(name, names) if separator else ''
    return (
        f'{program}: expected parameters as --ros-args -p NAME:=VALUE, found {shown}{hint}; '
        '--help lists them'
    )
