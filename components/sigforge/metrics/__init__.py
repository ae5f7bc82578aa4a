"""Fusion metrics under one registry: ``score`` a batch, ``list_metrics``, ``get_metric``, ``select_metrics``."""

from sigforge.metrics.registry import BOTH, PAPER, Metric, get_metric, list_metrics, select_metrics
from sigforge.metrics.score import score

__all__ = ["BOTH", "PAPER", "Metric", "get_metric", "list_metrics", "score", "select_metrics"]
