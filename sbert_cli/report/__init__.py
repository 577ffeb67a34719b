"""Pictures and one-file HTML reports. Knows nothing of models, training or evaluation."""

from __future__ import annotations

from sbert_cli.report.html import Section, write_report
from sbert_cli.report.plots import curves, histogram, scatter

__all__ = ["Section", "curves", "histogram", "scatter", "write_report"]
