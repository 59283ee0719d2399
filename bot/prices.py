"""`PRICES`: what tokens cost, as the operator's contract says, and what a call's came to. None are built in."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.section import Section, Text
from pipelines.yaml_file import read_yaml

PER = 1_000_000
"""Prices are for so many tokens."""

Price = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class ModelPrices(Section):
    """What one model's tokens cost, for a million of each kind. What it never uses needs no price."""

    input: Price | None = None
    """Text that the model is told."""

    cached_input: Price | None = None
    """The same, where the model had it already."""

    cache_write: Price | None = None
    """The same, where the model keeps it for later."""

    output: Price | None = None
    """Text that the model writes."""

    audio_input: Price | None = None
    """Sound that the model hears."""

    cached_audio_input: Price | None = None
    """The same, where the model had it already."""

    audio_output: Price | None = None
    """Sound that the model makes."""


class Prices(Section):
    """The file."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    """The currency of all prices, as ISO 4217 calls it, e.g. `USD`."""

    models: dict[Text, ModelPrices]
    """By the model's name as the pipeline gives it, the prices for a million tokens of each kind."""

    def cost(self, used: Mapping[str, Mapping[str, int]]) -> tuple[Decimal, list[str]]:
        """What tokens cost.

        Args:
            used: How many, by model and kind.

        Returns:
            The sum, and in words what has no price and is not in it.
        """
        together, unpriced = Decimal(0), list[str]()
        for model, counts in used.items():
            prices = self.models.get(model)
            for kind, count in counts.items():
                price = getattr(prices, kind, None)
                if price is None:
                    unpriced.append(f"{kind.replace('_', ' ')} of {model}")
                else:
                    together += price * count / PER
        return together, unpriced


def read_prices(path: Path, environ: Mapping[str, str]) -> Prices:
    """Read the file.

    Args:
        path: The file.
        environ: What `${NAME}` in it stands for.

    Raises:
        ConfigurationError: Everything that is wrong with it.
    """
    return read_yaml(path, environ, named_by="PRICES").parse(Prices)
