"""What the report on evaluations shows of each kind of result, from its files alone.

A part that a result does not have, or that is NaN, leaves out what would be drawn of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.evaluation.errors import EvaluationFileError
from retrieval.evaluation.html.ann_section import ann_section
from retrieval.evaluation.html.catalogue_section import catalogue_section
from retrieval.evaluation.html.comparison_section import comparison_section, models_section
from retrieval.evaluation.html.run_section import run_section

if TYPE_CHECKING:
    from retrieval.evaluation.html.evaluation_parts import Result, Section

KINDS = {
    "run": run_section,
    "comparison": comparison_section,
    "ann": ann_section,
    "catalogue": catalogue_section,
    "models": models_section,
}


def section(result: Result, place: int) -> Section:
    """The section of a result, the kind of which is one of `KINDS`.

    Parameters
    ----------
    place : of the section on its page: its plots are named by it

    Raises
    ------
    EvaluationFileError
        If something is missing that every result of its kind has.
    """
    try:
        return KINDS[result.found["kind"]](result, f"s{place}")
    except (KeyError, TypeError, AttributeError) as error:
        raise EvaluationFileError(
            result.name, "", f"is not whole: {error!r}", "what `soundalike evaluate` wrote"
        ) from error
