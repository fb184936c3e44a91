"""Configuration: pydantic sections, YAML files and presets, ``section.field=value`` overrides.

Import the sections and ``load_config`` from ``engine``, ``search``, ``collect`` and ``models``; ``files`` reads YAML,
``fields`` describes every field, and ``every_model`` finds and changes all models.
"""
