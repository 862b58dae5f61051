"""`avdet bag replay`: play a recorded drive over DDS, with ``/clock``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import console, print_line


def replay(
    bag: Annotated[Path, typer.Argument(help='rosbag2 folder, .mcap or .db3.')],
    rate: Annotated[float, typer.Option(help='Playback speed; 1 is real time.')] = 1.0,
    loop: Annotated[bool, typer.Option('--loop', help='Start again at the end.')] = False,
    start: Annotated[float, typer.Option(help='Seconds to skip at the beginning.')] = 0.0,
    topic: Annotated[
        list[str] | None, typer.Option(help='Play only this topic; may be repeated.')
    ] = None,
    chain: Annotated[
        bool,
        typer.Option(
            '--chain',
            help='Play to running nodes: wait until they have subscribed, and leave out the '
            'topics that they publish themselves.',
        ),
    ] = False,
    namespace: Annotated[
        str | None,
        typer.Option(
            help='With --chain: namespace of the nodes, if different from the recorded one.'
        ),
    ] = None,
) -> None:
    """Play a bag to ROS nodes; the space bar pauses. The nodes need use_sim_time:=true."""
    from avdet_ros.bags.reader import Bag
    from avdet_ros.bags.timeline import chain_topics, moved_topics, require_topics
    from avdet_ros.errors import AvdetError
    from avdet_ros.process import until_signal

    try:
        from avdet_ros.nodes.player import Player, keys, play_bag
    except ImportError as error:
        raise AvdetError(
            f'avdet bag replay: expected rclpy and its messages, found {error.name} missing; '
            f'source the ROS environment, or use avdet bag process, which needs none'
        ) from error

    import time

    with until_signal(), Bag(bag) as opened, keys() as pressed:
        wait_for: list[str] = []
        moved: dict[str, str] = {}
        if chain:
            topics, raw = chain_topics(opened)
            name = 'audio' if raw else 'spectrogram'
            source = next(t for t in topics if t.rsplit('/', 1)[-1] == name)
            if namespace is None:
                namespace = source.rsplit('/', 1)[0]
            moved = moved_topics(topics, source, namespace)
            prefix = '/' + namespace.strip('/')
            outputs = ('spectrogram', 'detections') if raw else ('detections',)
            wait_for = [moved.get(source, source)]
            wait_for += [f'{prefix.rstrip("/")}/{name}' for name in outputs]
        else:
            topics = require_topics(opened, topic) if topic else list(opened.topics)
        if opened.partial:
            print_line(f'partial: {opened.partial}', 'yellow')
        end_s = opened.duration_s
        print_line(f'{bag}: {end_s:.1f} s, {len(topics)} topics, {rate:g} x; space pauses')

        def watch(player: Player) -> None:
            if pressed() == ' ':
                player.timeline.toggle(time.monotonic())
            if console().is_terminal:
                state = 'paused ' if player.timeline.paused else 'playing'
                console().print(f'{state} {player.position_s:7.1f} of {end_s:.1f} s', end='\r')

        player = play_bag(opened, topics, rate, loop, start, wait_for, 20.0, watch, moved)
        if player is not None:
            print_line(f'{player.sent} messages sent')
