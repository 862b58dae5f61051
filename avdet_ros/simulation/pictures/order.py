"""The painter's order of upright bodies: which body is in front of which."""

from __future__ import annotations

import numpy as np


def back_to_front(footprints: np.ndarray, depth_m: np.ndarray, spans_px: np.ndarray) -> np.ndarray:
    """Order bodies so that none is painted over another body in front of it.

    Two convex footprints that do not overlap are separated by a line along an edge of one of them;
    the body on the camera's side of the line is in front. Sorting by depth alone fails for long
    bodies.

    Args:
        footprints: (N, 4, 2) corners seen from above, counter-clockwise, camera at the origin.
        depth_m: (N,) nearest depth; decides where the geometry does not.
        spans_px: (N, 2) leftmost and rightmost pixel column.

    Returns:
        (N,) int64 indices in painting order.
    """
    count = len(footprints)
    edges = np.roll(footprints, -1, axis=1) - footprints
    outward = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-9)
    offset = np.einsum('nec,nec->ne', outward, footprints)
    # distance outside edge e of body n of the innermost corner of body m
    outside = np.einsum('nec,mvc->nemv', outward, footprints).min(axis=3) - offset[..., None]
    separated = outside > -0.05
    camera_outside = (offset < 0)[..., None]
    front = (separated & ~camera_outside).any(axis=1)
    front |= (separated & camera_outside).any(axis=1).T
    overlap = (spans_px[:, None, 0] < spans_px[None, :, 1]) & (
        spans_px[None, :, 0] < spans_px[:, None, 1]
    )
    after = front & ~front.T & overlap
    waits = after.sum(axis=1)
    remaining = np.ones(count, bool)
    order = np.zeros(count, np.int64)
    for place in range(count):
        free = remaining & (waits == 0)
        rank = np.where(free if free.any() else remaining, depth_m, -np.inf)
        order[place] = chosen = int(np.argmax(rank))
        remaining[chosen] = False
        waits = waits - after[:, chosen]
    return order
