"""What every group of keys in a file has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Section(BaseModel):
    """A group of keys in a file. Its fields' docstrings are what an author is told about them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
