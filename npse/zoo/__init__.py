"""The bug zoo: mistakes planted in the book on purpose, to measure gradient checkers.

    for bug in BUGS:
        print(bug.name, bug.mistake)
    rows = survey(BUGS, seeds=20)

Each chapter of the book has a chapter of bugs here; `museum` reproduces bugs of real repositories. `designs` has the
checkers that are compared: npse's judge, and four designs that other projects use.
"""

from npse.zoo import (
    activation,
    batch_norm,
    bn_scale_add_relu,
    channels,
    contract,
    conv,
    dense,
    dropout,
    excitations,
    grouped_conv,
    joins,
    loss,
    map_gates,
    more_activations,
    museum,
    pool,
    se,
    squeezes,
)
from npse.zoo.bug import BOOK, NO_BUG, Bug, all_cases, planted
from npse.zoo.designs import DESIGNS
from npse.zoo.measure import Row, false_alarms, survey

CHAPTERS = (conv, grouped_conv, pool, channels, batch_norm, activation, more_activations, dropout, dense, se,
            bn_scale_add_relu, squeezes, excitations, map_gates, joins, loss, contract, museum)
BUGS = planted(chapter.__name__.rpartition(".")[2] for chapter in CHAPTERS)

__all__ = ["BOOK", "BUGS", "DESIGNS", "NO_BUG", "Bug", "Row", "all_cases", "false_alarms", "survey"]
