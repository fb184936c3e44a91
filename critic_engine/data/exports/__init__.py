"""Writing a run's rows as the files that trainers load."""

from critic_engine.data.exports.exporting import RowSource, export_rows
from critic_engine.data.exports.formats import FORMATS, layout_named
from critic_engine.data.exports.orders import ExportOptions, ExportReport

__all__ = ["FORMATS", "ExportOptions", "ExportReport", "RowSource", "export_rows", "layout_named"]
