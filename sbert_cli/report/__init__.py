"""Pictures and one-file HTML reports. Knows nothing of models, training or evaluation."""

from __future__ import annotations

from sbert_cli.report.html import Section, write_report
from sbert_cli.report.plots import curves, recall_curve, scatter

__all__ = ["Section", "curves", "recall_curve", "scatter", "write_report"]
