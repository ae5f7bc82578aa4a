"""Fusion metrics under one registry: ``score`` a batch, ``list_metrics``, ``get_metric``."""

# Importing a family registers its metrics.
from components.metrics import fidelity, gradient, information, multiscale, phase, statistics  # noqa: F401
from components.metrics.registry import PAPER, Metric, get_metric, list_metrics
from components.metrics.score import score

__all__ = ["PAPER", "Metric", "get_metric", "list_metrics", "score"]
