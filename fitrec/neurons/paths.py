"""Which inputs of a model have a derivative that leads to what a loss observes."""

from fitrec.neurons.algebra import is_zero
from fitrec.neurons.derive import Derivatives


def ports_with_path(derivatives: Derivatives, observed: str) -> tuple[str, ...]:
    """Return the ports from which derivatives lead, over any number of steps, to a row: a state, or ``z``."""
    rows = derivatives.rows
    cells = list(derivatives.jacobian.values())
    reach = {rows.index(observed)}
    while True:
        more = {
            source
            for source in range(len(rows))
            if source not in reach and any(not is_zero(j.state[row][source]) for j in cells for row in reach)
        }
        if not more:
            break
        reach |= more
    return tuple(
        port for k, port in enumerate(derivatives.ports) if any(not is_zero(j.port[row][k]) for j in cells for row in reach)
    )
