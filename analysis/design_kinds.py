"""Sections of a design file that belong to one kind of design."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipelines.contracts.yaml_model import StrictModel

SliceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(gt=0, lt=1)]


class Reweight(StrictModel):
    """Give slices another weight; the others shrink or grow in proportion (same tokens).

    Attributes:
        slices: slices that are reweighted, one at a time.
        factors: factors of the weight, e.g. twice and half.
    """

    slices: Annotated[tuple[SliceName, ...], Field(min_length=1)]
    factors: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (2.0, 0.5)
