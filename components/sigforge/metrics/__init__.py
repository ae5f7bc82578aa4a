"""Fusion metrics under one registry: ``score`` a batch, ``list_metrics``, ``get_metric``, ``select_metrics``."""

# Importing a family registers its metrics.
from sigforge.metrics import (  # noqa: F401
    error,
    exposure,
    feature_information,
    fidelity,
    gradient,
    information,
    multiscale,
    perception,
    phase,
    saliency,
    sharpness,
    similarity,
    statistics,
    tsallis,
)
from sigforge.metrics.registry import PAPER, Metric, get_metric, list_metrics, select_metrics
from sigforge.metrics.score import score

__all__ = ["PAPER", "Metric", "get_metric", "list_metrics", "score", "select_metrics"]
