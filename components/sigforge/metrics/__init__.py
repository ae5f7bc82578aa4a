"""Fusion metrics under one registry: ``score`` a batch, ``list_metrics``, ``get_metric``, ``select_metrics``."""

# Importing a family registers its metrics.
from sigforge.metrics import (  # noqa: F401
    distance,
    error,
    exposure,
    feature_information,
    fidelity,
    gradient,
    information,
    multiscale,
    parts,
    perception,
    phase,
    saliency,
    sharpness,
    similarity,
    statistics,
    tsallis,
)
from sigforge.metrics.registry import BOTH, PAPER, Metric, get_metric, list_metrics, select_metrics
from sigforge.metrics.score import score

__all__ = ["BOTH", "PAPER", "Metric", "get_metric", "list_metrics", "score", "select_metrics"]
