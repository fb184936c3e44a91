"""The base class of configuration sections."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def check_unused(self, *names: str, is_used: bool, way_in: str) -> None:
        """Refuse fields that are set and have no effect.

        Raises:
            ValueError: one of ``names`` is not at its default although ``is_used`` is false; ``way_in`` is the remedy.
        """
        for name in names:
            if not is_used and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is {getattr(self, name)!r} and has no effect; {way_in} or leave {name} out")
