"""The memory that a training needs on a GPU, part by part, from its sizes alone; `fitrec.learn.memory` counts the host's."""

from fitrec.kernels.cuda import lif, ridge, rls
from fitrec.learn.memory import FitSizes, Parts
from fitrec.learn.rls_learner import chosen_rank
from fitrec.learn.statistics_form import is_shared, slots


def shared_parts(s: FitSizes, *, traces: bool) -> Parts:
    """Count what every rule needs: the wiring, and one trial with its records (as many more as fit run at the same time)."""
    index = 2 if s.n_neurons <= 1 << 16 else 4
    return {
        "static synapses": s.n_static * (8 + index) + 16 * s.n_neurons,
        "plastic synapses": s.n_trained * (s.n_inputs * (8 + index) + 8 * s.n_ff) + 8 * s.n_neurons,
        "one trial": lif.state_bytes(s.n_neurons, s.n_ff)
        + lif.output_bytes(s.n_bins, s.n_neurons, s.n_ff, traces=traces, capacity=0),
    }


def ridge_parts(s: FitSizes, *, trials: tuple[int, ...], gram: str, memory_bytes: float, trace_bits: int) -> Parts:
    """Count what batch ridge needs besides: nothing in the shared form, else the traces and what is solved."""
    sizes = s.ridge(trials, trace_bits)
    if is_shared(sizes, gram, memory_bytes):
        return {}
    columns = s.n_conditions * s.n_ff
    return {
        "traces": ridge.kept_bytes(s.n_conditions, s.n_bins, s.n_pool, slots(sizes, memory_bytes), trace_bits),
        "regressions": s.n_trained * (12 * s.n_inputs + 8 * s.n_conditions * s.n_bins + 4 * columns) + 4 * s.n_pool * columns,
    }


def gradient_parts(s: FitSizes, rule: str) -> Parts:
    """Count what gradient rules need besides, nothing where they learn on the CPU; the tapes of trials come on top."""
    if rule in ("bptt", "e-prop-plus"):
        return {}
    synapses = s.n_trained * (s.n_inputs + s.n_ff)
    traces = 4 if rule == "d-rtrl" else 0  # about as many rows
    return {
        "compiled synapses": 8 * synapses + 12 * s.n_static + 16 * (s.n_neurons + s.n_ff),
        "gradient, and that of one trial": 4 * (2 + traces) * synapses,
    }


def rls_parts(s: FitSizes, *, rank: int | str, storage: str) -> Parts:
    """Count what recursive least squares needs besides: nothing where P stays on the CPU."""
    if storage != "full":
        return {}
    n_inputs = s.n_inputs + s.n_ff
    learners = rls.state_bytes(-(-s.n_trained // s.pool_size), s.n_trained, n_inputs, chosen_rank(rank, n_inputs))
    return {"P, held-back updates and weights": learners, "places of the weights": 8 * s.n_trained * n_inputs}
