"""What wiring and times have to satisfy; 'fitrec build' refuses what breaks it, and 'fitrec check' says so beforehand."""

from fitrec.errors import NetworkError


def whole_steps(name: str, duration_ms: float, dt_ms: float) -> int:
    """Whole number of time steps of a duration; NetworkError when it is none."""
    steps = round(duration_ms / dt_ms)
    if abs(steps * dt_ms - duration_ms) > 1e-6 * max(duration_ms, dt_ms):
        raise NetworkError(
            f"{name} = {duration_ms:g} ms is not a whole number of steps of network.dt_ms = {dt_ms:g} ms; change one of them"
        )
    return steps


def require_partners(*, n_exc: int, n_inh: int, k: int, degree: str) -> None:
    """Raise NetworkError if `k` static connections to (or from) each population need more different partners than there are."""
    limit = n_exc + n_inh - 1 if degree == "out" else min(n_exc, n_inh) - 1
    wanted = 2 * k if degree == "out" else k
    if k > 0 and wanted > limit:
        raise NetworkError(
            f"network.balanced.k = {k} asks for {wanted} different partners per neuron, but only {limit} exist with "
            f"n_exc = {n_exc} and n_inh = {n_inh}; lower k or enlarge the network"
        )


def require_out_degree(degree: str) -> None:
    """Raise NetworkError if procedural wiring is asked to fix any other degree than the number of targets."""
    if degree != "out":
        raise NetworkError(
            f"network.balanced.connectivity is procedural, which fixes the number of targets of each neuron, but "
            f"network.balanced.degree is {degree}; set degree to out, or connectivity to stored"
        )


def require_lead(lead_ms: float, before_window_ms: float) -> None:
    """Raise NetworkError if the feed-forward inputs would begin before the trial does."""
    if lead_ms > before_window_ms * (1 + 1e-9):  # sums of decimal fractions are not exact
        raise NetworkError(
            f"network.feed_forward.lead_ms is {lead_ms:g}, but a trial has only {before_window_ms:g} ms before the window "
            "(settle_ms + stimulus.duration_ms); shorten the lead"
        )
