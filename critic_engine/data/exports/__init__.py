"""Writing a run's rows as the files that trainers load."""

from critic_engine.data.exports.export import RowSource, export_rows
from critic_engine.data.exports.options import ExportOptions, ExportReport
from critic_engine.data.exports.registry import FORMATS, layout_named

__all__ = ["FORMATS", "ExportOptions", "ExportReport", "RowSource", "export_rows", "layout_named"]
