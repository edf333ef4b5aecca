"""Mutants: mistakes that nobody chose, to measure how well the judge explains what it has never seen.

    rows = survey(500, seed=0, jobs=2)
    header, lines = table(rows)

`operator` says what an operator is; `terms`, `arrays` and `order` have the operators, `foreign` the functions that npse
does not know. `engine` makes the mutants, `criterion` decides whether a sentence of the judge is right.
"""

from npse.zoo.mutation.operator import OPERATORS
from npse.zoo.mutation.survey import Row, as_json, survey, table, table_of_operators
from npse.zoo.mutation.target import targets

__all__ = ["OPERATORS", "Row", "as_json", "survey", "table", "table_of_operators", "targets"]
