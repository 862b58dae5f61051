"""Pretexts that cluster the pictures and use the clusters as labels of the sound.

``clusters``, XDC (H. Alwassel et al., "Self-supervised learning by cross-modal audio-video
clustering", arXiv 1911.12667): k-means with K = 32 on the teachers' vectors, cross-entropy of the
sound's head against the cluster. XDC also uses clusters of the sound as labels of the picture;
that would change nothing here, because no picture network is trained. The mean of its drive is
subtracted from each picture's vector, since the clusters would otherwise reflect drives and light;
``nmi_drive`` and ``nmi_count`` measure what they reflect. Empty clusters are dropped.

``clusters_joint``, SeLaVi (Y. Asano et al., "Labelling unlabelled videos from scratch with
multi-modal self-supervision", arXiv 2006.13662): both modalities have a head over K clusters. The
labels Q are the product of their posteriors p_a p_v, balanced to use all clusters equally
(Sinkhorn and Knopp), per batch as in SwAV (arXiv 2006.09882) instead of over all windows:

    L = CE(Q, p_a) + CE(Q, p_v)

With teachers, a picture's vector is their P5 ``embedding``; otherwise it is the number of boxes in
each twelfth of the image.
"""

from __future__ import annotations

from typing import Any
import warnings

import numpy as np
from scipy.cluster.vq import kmeans2, vq
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.errors import AvdetError
from avdet_ros.training.data.batch import P5, Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext, without
from avdet_ros.training.pretexts.masked_channels import pooled
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

CLUSTERS = 32
BINS = 12
SHARPNESS = 20.0
"""Exponent of the posteriors in Sinkhorn's iteration; large values give hard labels."""

ROUNDS = 10


class _Clustered(MeasuredPretext):
    """Common part of both pretexts: a standardised vector of each window's picture."""

    @classmethod
    def needs_of(cls, recipe: StudentRecipe) -> tuple[str, ...]:
        """Require the teachers' embedding with labels by teachers, otherwise boxes alone."""
        return ('embedding',) if recipe.labels == 'teachers' else ()

    @property
    def augmentation(self) -> Augmentation:
        """No mixing or mirroring: the window would no longer match its picture."""
        return without(self.recipe.augmentation, 'mix', 'mirror')

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Compute the pictures' vectors."""
        super().prepare(train, val)
        vectors = [seen_vectors(windows) for windows in (train, val)]
        deviation = vectors[0].std(axis=0)
        self.pictures = [each / np.where(deviation > 1e-6, deviation, 1.0) for each in vectors]

    def of_batch(self, batch: Batch, values: list[np.ndarray]) -> Tensor:
        """Select the rows of a batch from the training or validation set's values."""
        rows = values[0 if self.training else 1][batch.indices]
        return torch.from_numpy(rows).to(batch.spectrogram.device)


@PRETEXTS.register
class Clusters(_Clustered):
    """Predict the cluster of the picture from the sound."""

    name = 'clusters'

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.about: dict[str, float] = {}

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Cluster the pictures and make the head."""
        super().prepare(train, val)
        centres = cluster_centres(self.pictures[0], CLUSTERS, self.recipe.fit.seed)
        self.labels = [vq(each, centres)[0].astype(np.int64) for each in self.pictures]
        counts = np.array([len(boxes) for boxes in train.boxes])
        self.about = {'clusters': len(centres), 'nmi_count': shared(self.labels[0], counts)}
        if train.drives:
            self.about['nmi_drive'] = shared(self.labels[0], np.array(train.drives))
        self.head = nn.LazyLinear(len(centres))
        with torch.no_grad():
            self.logits(train.batch([0]))

    def logits(self, batch: Batch) -> Tensor:
        """(B, clusters)."""
        return self.head(pooled(self.student.encode(batch.spectrogram)).flatten(1))

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss`` and ``accuracy``."""
        logits, labels = self.logits(batch), self.of_batch(batch, self.labels)
        return {
            'loss': functional.cross_entropy(logits, labels),
            'accuracy': (logits.argmax(dim=1) == labels).float().mean(),
        }

    def result(self, val: WindowDataset) -> dict[str, Any]:
        """Add the number of clusters and their mutual information with drives and counts."""
        return {**super().result(val), **self.about}

    def describe(self, result: dict[str, Any]) -> str:
        """Report the accuracy and what the clusters reflect."""
        return (
            f'clusters: {result["accuracy"]:.0%} of the validation windows put into the right one '
            f'of {result["clusters"]}; clusters share {result["nmi_count"]:.2f} with the number '
            f'of boxes and {result.get("nmi_drive", float("nan")):.2f} with the drive (1: the '
            'same)'
        )


@PRETEXTS.register
class JointClusters(_Clustered):
    """Learn clusters that sound and picture agree on."""

    name = 'clusters_joint'

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Make both heads."""
        super().prepare(train, val)
        self.hear, self.see = nn.LazyLinear(CLUSTERS), nn.LazyLinear(CLUSTERS)
        with torch.no_grad():
            self.posteriors(train.batch([0]))

    def posteriors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, CLUSTERS) log posteriors of sounds and pictures."""
        sound = self.hear(pooled(self.student.encode(batch.spectrogram)).flatten(1))
        picture = self.see(self.of_batch(batch, self.pictures).float())
        return sound.log_softmax(dim=1), picture.log_softmax(dim=1)

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``; ``agree``: same best cluster; ``used``: share of the clusters in use."""
        sound, picture = self.posteriors(batch)
        labels = balanced((sound + picture).detach())
        mean = sound.detach().exp().mean(dim=0)
        entropy = -(mean * mean.clamp(min=1e-9).log()).sum()
        return {
            'loss': -(labels * (sound + picture)).sum(dim=1).mean(),
            'agree': (sound.argmax(dim=1) == picture.argmax(dim=1)).float().mean(),
            'used': entropy.exp() / CLUSTERS,
        }

    def describe(self, result: dict[str, Any]) -> str:
        """Report how often sound and picture agree."""
        return (
            f'clusters_joint: sound and picture agree on the cluster in {result["agree"]:.0%} of '
            f'the validation windows; {result["used"]:.0%} of {CLUSTERS} clusters in use'
        )


def seen_vectors(windows: WindowDataset) -> np.ndarray:
    """Return (N, D) float32 vectors of the pictures, less the mean of each one's drive."""
    if len(windows.embedding):
        rows = [np.asarray(row, np.float32)[:, P5].ravel() for row in windows.embedding]
    else:
        rows = [
            np.histogram((boxes[:, 0] + boxes[:, 2]) / 2, BINS, (0, 1))[0].astype(np.float32)
            for boxes in windows.boxes
        ]
    vectors = np.stack(rows)
    drives = np.array(windows.drives if windows.drives else [''] * len(vectors))
    for name in np.unique(drives):
        vectors[drives == name] -= vectors[drives == name].mean(axis=0)
    return vectors


def cluster_centres(vectors: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return (K, D) centres of k-means with K at most ``most``; empty clusters are dropped.

    Raises:
        AvdetError: fewer than two are left, because all pictures look alike.
    """
    different = len(np.unique(vectors, axis=0))
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '.*clusters is empty.*')
        centres, labels = kmeans2(
            vectors, min(most, different), iter=30, minit='++', rng=np.random.default_rng(seed)
        )
    centres = centres[np.unique(labels)]
    if len(centres) < 2:
        raise AvdetError(
            'pretext.task: clusters: expected pictures of at least two kinds, found '
            f'{different} different vectors in {len(vectors)} windows'
        )
    return centres


def balanced(log_posteriors: Tensor) -> Tensor:
    """Return labels (B, K) that sum to 1 and use all clusters equally (Sinkhorn and Knopp).

    Args:
        log_posteriors: (B, K), up to a constant offset.
    """
    scaled = SHARPNESS * (log_posteriors - log_posteriors.amax(dim=1, keepdim=True))
    for _ in range(ROUNDS):
        scaled = scaled - scaled.logsumexp(dim=0, keepdim=True)
        scaled = scaled - scaled.logsumexp(dim=1, keepdim=True)
    return scaled.exp()


def shared(first: np.ndarray, second: np.ndarray) -> float:
    """Normalised mutual information of two labellings: 0 independent, 1 identical."""
    _, a = np.unique(first, return_inverse=True)
    _, b = np.unique(second, return_inverse=True)
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))

    def entropy(part: np.ndarray) -> float:
        part = part[part > 0]
        return float(-(part * np.log(part)).sum())

    alone = entropy(joint.sum(axis=1)), entropy(joint.sum(axis=0))
    information = sum(alone) - entropy(joint)
    return max(0.0, information / max(sum(alone) / 2, 1e-12))
