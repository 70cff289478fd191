"""Classification heads over nested embeddings: logits at every size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.classifier.classifier import LinearHeads
from models.nesting import Nesting

FEATURE_LENGTH = 8.0
"""Length that a head's prefixes are scaled to, so that weights of ordinary size give confident answers."""

LinearMaps = dict[int, tuple[Tensor, Tensor]]
"""Weight, shape (L, m), and bias, shape (L,), by size m; L is the number of labels."""


class MRLHead(nn.Module):
    """Independent linear classifiers, one per size: logits W⁽ᵐ⁾ · z₁:ₘ + b⁽ᵐ⁾ (MRL, equation 1).

    Equation 1 has no bias; the paper's code (``MRL_Linear_Layer``) gives each classifier its own, as here. With a
    single size, this is the head of the fixed-feature baseline (FF).

    Args:
        nesting: the sizes m.
        classes: L, the number of labels.
        length: length that prefixes are scaled to before the classifiers; if None, they are not scaled, as in the
            paper.
    """

    def __init__(self, nesting: Nesting, classes: int, length: float | None = None) -> None:
        super().__init__()
        self.sizes, self.length = nesting.sizes, length
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for size in nesting.sizes:
            linear = nn.Linear(size, classes)
            self.weights[str(size)], self.biases[str(size)] = linear.weight, linear.bias

    def forward(self, features: Tensor) -> dict[int, Tensor]:
        """Map features of shape (n, D) to logits of shape (n, L) by size."""
        return {
            size: functional.linear(
                prefix(features, size, self.length), self.weights[str(size)], self.biases[str(size)]
            )
            for size in self.sizes
        }

    def linear_maps(self) -> LinearMaps:
        """Return each size's linear map from the scaled prefix to the logits."""
        return {size: (self.weights[str(size)].detach(), self.biases[str(size)].detach()) for size in self.sizes}


class TiedHead(nn.Module):
    """MRL-E: a single classifier whose first m columns are the classifier of size m, W⁽ᵐ⁾ = W₁:ₘ (MRL, section 3).

    All sizes share the bias, as in the paper's code (``MRL_Linear_Layer`` with ``efficient=True``).

    Args:
        nesting, classes, length: see :class:`MRLHead`.
    """

    def __init__(self, nesting: Nesting, classes: int, length: float | None = None) -> None:
        super().__init__()
        self.sizes, self.length = nesting.sizes, length
        self.linear = nn.Linear(nesting.dimension, classes)

    def forward(self, features: Tensor) -> dict[int, Tensor]:
        """Map features of shape (n, D) to logits of shape (n, L) by size."""
        weight, bias = self.linear.weight, self.linear.bias
        return {
            size: functional.linear(prefix(features, size, self.length), weight[:, :size], bias) for size in self.sizes
        }

    def linear_maps(self) -> LinearMaps:
        """See :meth:`MRLHead.linear_maps`; the weights are views of a single tensor."""
        weight, bias = self.linear.weight.detach(), self.linear.bias.detach()
        return {size: (weight[:, :size], bias) for size in self.sizes}


class SlimmableHead(nn.Module):
    """Slimmable baseline (Yu et al. 2019): all widths share their weights, and each has its own batch normalisation.

    A slimmable network runs at any width by using the first channels of every layer. A static table has a single
    layer, so its first m columns are the network of width m, and the rest of the method is this head: a batch
    normalisation per size before a tied classifier.

    Args:
        nesting, classes, length: see :class:`MRLHead`.
    """

    def __init__(self, nesting: Nesting, classes: int, length: float | None = None) -> None:
        super().__init__()
        self.sizes, self.length = nesting.sizes, length
        self.norms = [nn.BatchNorm1d(size) for size in nesting.sizes]
        for size, norm in zip(nesting.sizes, self.norms, strict=True):
            self.add_module(f"norm {size}", norm)
        self.linear = nn.Linear(nesting.dimension, classes)

    def forward(self, features: Tensor) -> dict[int, Tensor]:
        """Map features of shape (n, D) to logits of shape (n, L) by size."""
        weight, bias = self.linear.weight, self.linear.bias
        return {
            size: functional.linear(norm(prefix(features, size, self.length)), weight[:, :size], bias)
            for size, norm in zip(self.sizes, self.norms, strict=True)
        }

    def linear_maps(self) -> LinearMaps:
        """See :meth:`MRLHead.linear_maps`; the normalisation is folded in."""
        weight, bias = self.linear.weight.detach(), self.linear.bias.detach()
        maps = {}
        for size, norm in zip(self.sizes, self.norms, strict=True):
            assert norm.running_var is not None
            assert norm.running_mean is not None
            slope = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
            shift = norm.bias.detach() - norm.running_mean * slope
            maps[size] = weight[:, :size] * slope, bias + weight[:, :size] @ shift
        return maps


Head = MRLHead | TiedHead | SlimmableHead


def linear_heads(head: Head) -> LinearHeads:
    """Convert a trained head to arrays over unit prefixes."""
    assert head.length is not None
    maps = head.linear_maps()
    return LinearHeads(
        {size: (head.length * weight).cpu().numpy() for size, (weight, _) in maps.items()},
        {size: bias.cpu().numpy().copy() for size, (_, bias) in maps.items()},
        tied=isinstance(head, TiedHead),
    )


def prefix(features: Tensor, size: int, length: float | None) -> Tensor:
    """Truncate features to their first ``size`` components and, unless ``length`` is None, scale them to it.

    Args:
        features: shape (n, D).
        size: components to keep.
        length: Euclidean length of the result's rows; zero rows stay zero.

    Returns:
        Shape (n, size).
    """
    cut = features[:, :size]
    return cut if length is None else functional.normalize(cut, dim=-1) * length
