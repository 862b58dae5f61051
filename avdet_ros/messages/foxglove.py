"""Encode tracks as annotations of the camera's picture, if foxglove_msgs is installed."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time

from avdet_ros.drawing.style import colour
from avdet_ros.tracking.track import Track


def foxglove_messages() -> Any | None:
    """Return the module with Foxglove's messages, or None if it is not installed."""
    try:
        from foxglove_msgs import msg
    except ImportError:
        return None
    return msg


def encode_annotations(stamp: Time, tracks: list[Track]) -> Any:
    """Encode tracks as an ``ImageAnnotations``, with one box and one label per track.

    Args:
        stamp: instant of the boxes.
        tracks: in pixels of the camera's picture.

    Raises:
        ImportError: the messages are not installed.
    """
    from foxglove_msgs import msg

    message = msg.ImageAnnotations()
    if hasattr(message, 'timestamp'):  # newer releases have one for all annotations
        message.timestamp = stamp
    for track in tracks:
        blue, green, red = (part / 255 for part in colour(track.track_id))
        paint = msg.Color(r=red, g=green, b=blue, a=1.0)
        x_min, y_min, x_max, y_max = (float(edge) for edge in track.box_px)
        box = msg.PointsAnnotation(
            timestamp=stamp,
            type=msg.PointsAnnotation.LINE_LOOP,
            points=[
                msg.Point2(x=x, y=y)
                for x, y in ((x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max))
            ],
            outline_color=paint,
            thickness=1.0 if track.coasting else 3.0,
        )
        label = msg.TextAnnotation(
            timestamp=stamp,
            position=msg.Point2(x=x_min, y=y_min),
            text=f'#{track.track_id} {track.score:.2f}',
            font_size=16.0,
            text_color=paint,
            background_color=msg.Color(a=0.5),
        )
        message.points.append(box)
        message.texts.append(label)
    return message
