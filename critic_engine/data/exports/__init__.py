"""Writing a run's rows as the files that trainers load."""

from critic_engine.data.exports.export import RowSource, export_rows
from critic_engine.data.exports.formats import FORMATS, format_named
from critic_engine.data.exports.options import ExportOptions, ExportReport

__all__ = ["FORMATS", "ExportOptions", "ExportReport", "RowSource", "export_rows", "format_named"]
