"""Prefect flows: when and where DVC targets run. What is stale, and what it is made of, stands in dvc.yaml."""

import os
from pathlib import Path

# Locks, logs and pid files; git ignores it.
STATE = Path(".sigforge")

# Before Prefect or MLflow is imported, and for every process started from here.
for _switch, _value in {"DO_NOT_TRACK": "true", "DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}.items():
    os.environ.setdefault(_switch, _value)
