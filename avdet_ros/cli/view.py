"""`avdet view`: show bags or the running nodes on a live page, without RViz."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import print_line


def view(
    bags: Annotated[
        list[Path] | None,
        typer.Argument(
            help='Bags to show, e.g. a drive and its results, or a data set with filtered labels; '
            'default: the running nodes.'
        ),
    ] = None,
    web: Annotated[
        bool,
        typer.Option('--web', help='Serve the page to a browser instead of opening a window.'),
    ] = False,
    save: Annotated[
        Path | None, typer.Option(help='Write a Rerun file (.rrd) instead of opening the viewer.')
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="The camera's topic; by default, it is found by its name.")
    ] = None,
    namespace: Annotated[str, typer.Option(help='Namespace of the running nodes.')] = 'avdet',
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    label_filter: Annotated[
        str,
        typer.Option(
            '--filter',
            help='For a data set: label filter whose probabilities are shown on the boxes, over '
            'the attention stored by avdet train selector --attention, if any.',
        ),
    ] = 'sounding',
    split: Annotated[str, typer.Option(help='For a data set: train, val or test.')] = 'val',
    labels: Annotated[
        Path | None,
        typer.Option(help='For a data set: folder of its labels; default: DATA/labels.'),
    ] = None,
) -> None:
    """Show picture, boxes, sound levels and latency in the Rerun viewer."""
    from avdet_ros.bags.reader import Bag
    from avdet_ros.bags.show import show_bag
    from avdet_ros.dataset.layout import is_dataset
    from avdet_ros.drawing.live_page import LivePage
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation.sounding.show import show_filtered
    from avdet_ros.process import until_signal
    from avdet_ros.rig import load_rig

    loaded_rig = load_rig(rig)
    sets = [path for path in bags or [] if is_dataset(path)]
    opened = [Bag(path) for path in bags or [] if path not in sets]
    page = LivePage(loaded_rig, save, web)
    if page.url:
        print_line(page.url)
    for root in sets:
        count = show_filtered(root, page, label_filter, split, labels)
        print_line(f'{root}: {count} frames of {split}')
    if opened or sets:
        for bag in opened:
            with bag:
                has_image = image if image in bag.topics else None
                shown = show_bag(bag, page, has_image)
                print_line(f'{bag.path}: ' + ', '.join(f'{n} {t}' for t, n in shown.items()))
                if bag.partial:
                    print_line(f'partial: {bag.partial}', 'yellow')
        if web:
            print_line('Ctrl-C ends the page')
            with until_signal():
                page.serve()
        return
    try:
        from avdet_ros.nodes.viewer import view_live
    except ImportError as error:
        raise AvdetError(
            f'avdet view: expected rclpy and its messages for the live nodes, found {error.name} '
            f'missing; name a bag instead'
        ) from error
    view_live(page, namespace, image or 'image')
