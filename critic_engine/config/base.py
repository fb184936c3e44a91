"""What every section of the configuration shares."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """What every section shares: it is frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def check_unused(self, *names: str, is_used: bool, way_in: str) -> None:
        """Refuse fields that are set and have no effect.

        Raises:
            ValueError: one of ``names`` is not at its default and nothing uses it; ``way_in`` says what would.
        """
        for name in names:
            if not is_used and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is {getattr(self, name)!r} and has no effect; {way_in} or leave {name} out")
