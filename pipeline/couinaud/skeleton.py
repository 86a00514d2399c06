"""Center lines of a vessel mask as a graph: positions and radii in mm, contacts, and rooted trees.

The mask is thinned on an isotropic grid (scikit-image's `skeletonize`), the radius is the distance to the vessel's
wall, and the graph is a sparse matrix for `scipy.sparse.csgraph`. That is all the naming of branches needs; `skan`
would bring numba for its branch statistics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray, Float64Array, Int64Array
from pipeline.couinaud.division import physical_points
from pipeline.volume import Geometry

ISOTROPIC_MM = 1.5
"""Spacing of the grid on which vessels are thinned."""
BRIDGED_MM = 5.0
"""Center lines so close are joined: thin vessels break where slices are thick."""
GAP_COST = 10.0
"""A bridged gap costs more by so many times its length in mm."""
_DIAGONAL = 1.01 * 3**0.5


@dataclass(frozen=True)
class CenterLines:
    """Points of the center lines and which of them are close.

    Args:
        points: Physical positions, shape (n, 3) as x, y, z in mm.
        radius_mm: Distance to the vessel's wall, shape (n,).
        pairs: Points that touch or could be bridged, shape (m, 2).
        spacing_mm: Spacing of the grid that they were found on.
    """

    points: Float64Array
    radius_mm: Float64Array
    pairs: Int64Array
    spacing_mm: float

    def select(self, chosen: BoolArray) -> CenterLines:
        """Return the chosen points, shape (n,), with the contacts among them."""
        number = np.cumsum(chosen) - 1
        kept = chosen[self.pairs].all(axis=1)
        pairs = number[self.pairs[kept]].astype(np.int64)
        return replace(self, points=self.points[chosen], radius_mm=self.radius_mm[chosen], pairs=pairs)

    @property
    def length_mm(self) -> Float64Array:
        """Length of each pair."""
        return np.linalg.norm(self.points[self.pairs[:, 0]] - self.points[self.pairs[:, 1]], axis=1)

    @property
    def gap_mm(self) -> Float64Array:
        """What each pair is longer than the step between touching voxels; 0 for those."""
        return np.maximum(self.length_mm - _DIAGONAL * self.spacing_mm, 0.0)

    @property
    def resistance(self) -> Float64Array:
        """Cost of each pair for a way along vessels: short and thick is cheap, a gap is dear."""
        return self.length_mm / self.thickness_mm**2 * (1.0 + GAP_COST * self.gap_mm)

    @property
    def thickness_mm(self) -> Float64Array:
        """Radius at the thinner end of each pair."""
        return self.radius_mm[self.pairs].min(axis=1)

    def matrix(self, values: Float64Array) -> Any:
        """Return a value of each pair as a sparse matrix."""
        from scipy.sparse import coo_array

        count = len(self.points)
        return coo_array((values, (self.pairs[:, 0], self.pairs[:, 1])), shape=(count, count)).tocsr()


@dataclass(frozen=True)
class RootedForest:
    """Center lines with a root in each tree.

    Args:
        lines: The center lines, with all of their contacts.
        parent: Next point towards the root, -1 at a root, shape (n,).
        order: All points, each after its parent.
        downstream_mm: Length of all center lines beyond each point.
        depth_mm: Length of the way to the root.
    """

    lines: CenterLines
    parent: Int64Array
    order: Int64Array
    downstream_mm: Float64Array
    depth_mm: Float64Array

    def heavy_paths(self) -> list[Int64Array]:
        """Split the forest into paths, each of which follows the longest remaining tree at every fork.

        Returns:
            Point numbers of each path from the root side outward; a side path begins beyond its fork.
        """
        heaviest = np.full(len(self.parent), -1)
        for point in self.order[::-1]:
            parent = self.parent[point]
            if parent >= 0 and (heaviest[parent] < 0 or self.weight(point) > self.weight(heaviest[parent])):
                heaviest[parent] = point
        starts = [point for point in self.order if self.parent[point] < 0 or heaviest[self.parent[point]] != point]
        paths = []
        for start in starts:
            path = [start]
            while heaviest[path[-1]] >= 0:
                path.append(heaviest[path[-1]])
            paths.append(np.array(path))
        return paths

    def weight(self, point: int) -> float:
        """Return the length that hangs on a point, its own contact with its parent included."""
        parent = self.parent[point]
        own = float(self.depth_mm[point] - self.depth_mm[parent]) if parent >= 0 else 0.0
        return float(self.downstream_mm[point]) + own


def resample_isotropic(
    mask: BoolArray, geometry: Geometry, box: tuple[slice, slice, slice], spacing_mm: float = ISOTROPIC_MM
) -> tuple[BoolArray, Geometry]:
    """Bring a part of a mask onto an isotropic grid with the same axes, by linear interpolation.

    Args:
        mask: Shape (z, y, x).
        geometry: Where its voxels lie.
        box: The part, in voxels.
        spacing_mm: Spacing of the new grid.

    Returns:
        Where the interpolated mask is at least one half, and where those voxels lie.
    """
    from scipy.ndimage import affine_transform

    ratio = spacing_mm / np.array(geometry.spacing_mm)
    part = mask[box]
    z, y, x = (max(1, int((size - 1) / step) + 1) for size, step in zip(part.shape, ratio, strict=True))
    fine = affine_transform(part.astype(np.float32), ratio, output_shape=(z, y, x), order=1, mode="nearest") >= 0.5
    start = physical_points(np.array([[side.start for side in box]]), geometry)[0].tolist()
    spacing = (spacing_mm, spacing_mm, spacing_mm)
    moved = replace(geometry, shape=(z, y, x), spacing_mm=spacing, origin_mm=(start[0], start[1], start[2]))
    return fine, moved


def trace(mask: BoolArray, geometry: Geometry) -> CenterLines:
    """Thin a vessel mask to center lines.

    Args:
        mask: Vessels on an isotropic grid, shape (z, y, x); may be empty.
        geometry: Where its voxels lie.

    Returns:
        Center lines, with all pairs of points within `BRIDGED_MM`.
    """
    from scipy.ndimage import distance_transform_edt
    from scipy.spatial import KDTree
    from skimage.morphology import skeletonize

    spacing = geometry.spacing_mm[0]
    indices = np.argwhere(skeletonize(mask)) if mask.any() else np.empty((0, 3), np.int64)
    points = physical_points(indices, geometry)
    if len(points) == 0:
        return CenterLines(points, np.empty(0), np.empty((0, 2), np.int64), spacing)
    radius = distance_transform_edt(np.pad(mask, 1), geometry.spacing_mm)[1:-1, 1:-1, 1:-1][tuple(indices.T)]
    pairs = KDTree(points).query_pairs(max(BRIDGED_MM, _DIAGONAL * spacing), output_type="ndarray")
    return CenterLines(points, radius, pairs.astype(np.int64), spacing)


def root(lines: CenterLines, cost: Float64Array, roots: BoolArray | None = None) -> RootedForest:
    """Turn center lines into trees that grow from roots along thick vessels.

    Every point hangs on the root from which it is reached most cheaply, so that loops open at weak contacts.

    Args:
        lines: Center lines; there may be none.
        cost: Shape (n,), such as the distance from the vessel that the trees open into.
        roots: Points that are roots, shape (n,); the cheapest point of each connected part always is.
    """
    from scipy.sparse.csgraph import connected_components, dijkstra

    count = len(lines.points)
    if count == 0:
        nothing, empty = np.empty(0, np.int64), np.empty(0)
        return RootedForest(lines, nothing, nothing, empty, empty)
    graph = lines.matrix(lines.resistance)
    component = connected_components(graph, directed=False)[1]
    by_cost = np.lexsort((cost, component))
    cheapest = by_cost[np.unique(component[by_cost], return_index=True)[1]]
    starts = cheapest if roots is None else np.union1d(cheapest, np.flatnonzero(roots))
    distance, parent, _ = dijkstra(graph, False, starts, return_predecessors=True, min_only=True)
    return _hang(lines, np.argsort(distance, kind="stable"), np.where(parent < 0, -1, parent).astype(np.int64))


def _hang(lines: CenterLines, order: Int64Array, parent: Int64Array) -> RootedForest:
    """Return a forest with its lengths; `order` has each point after its parent."""
    own = np.where(parent >= 0, np.linalg.norm(lines.points - lines.points[parent], axis=1), 0.0)
    depth, downstream = np.zeros(len(order)), np.zeros(len(order))
    for point in order:
        depth[point] = own[point] + (depth[parent[point]] if parent[point] >= 0 else 0.0)
    for point in order[::-1]:
        if parent[point] >= 0:
            downstream[parent[point]] += downstream[point] + own[point]
    return RootedForest(lines, parent, order, downstream, depth)
