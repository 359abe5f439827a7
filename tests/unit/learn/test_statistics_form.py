"""Which form the statistics of batch ridge take."""

from dataclasses import replace

import pytest

from fitrec.errors import TrainingError
from fitrec.learn.gathered_traces import GatheredTraces
from fitrec.learn.shared_gram import SharedGram
from fitrec.learn.statistics_form import Sizes, is_shared, make_statistics, slots

ALM = Sizes(
    n_conditions=2, n_bins=100, n_pool=4324, n_trained=1824, n_inputs=264, n_ff=300, trials=(8, 8, 8, 24, 24, 24), trace_bits=16
)
NEUROPIXELS = Sizes(
    n_conditions=1, n_bins=150, n_pool=66_002, n_trained=66_002, n_inputs=128, n_ff=0, trials=(8, 8, 8, 24, 24, 24), trace_bits=16
)


@pytest.mark.parametrize(
    ("sizes", "form", "memory_gb", "shared"),
    [
        (ALM, "auto", 8.0, True),
        (ALM, "auto", 0.1, False),  # too little room for the Gram matrix
        (ALM, "gathered", 8.0, False),
        (replace(ALM, n_trained=20), "auto", 8.0, False),  # few neurons of a large pool
        (NEUROPIXELS, "auto", 8.0, False),
        (NEUROPIXELS, "shared", 8.0, True),
        (NEUROPIXELS, "auto", 100.0, False),  # would fit, but takes longer
    ],
)
def test_the_cheaper_form_that_fits(sizes: Sizes, form: str, memory_gb: float, shared: bool) -> None:
    assert is_shared(sizes, form, memory_gb * 1e9) is shared


def test_room_for_trials() -> None:
    assert slots(NEUROPIXELS, 8e9) == sum(NEUROPIXELS.trials)  # no more than the fit runs
    assert slots(NEUROPIXELS, 1e9) == 1_000_000_000 // (66_002 * (2 * 150 + 4))


def test_statistics_are_made_of_the_form_chosen() -> None:
    small = replace(ALM, n_pool=50, n_trained=12, n_inputs=10, n_ff=3)
    shared, gathered = make_statistics(small, "shared", 1e9), make_statistics(small, "gathered", 3e6)
    assert isinstance(shared, SharedGram)
    assert isinstance(gathered, GatheredTraces)
    assert gathered.weight.shape == (2, slots(small, 3e6))


def test_no_room_for_one_loop_says_how_much_is_needed() -> None:
    with pytest.raises(TrainingError, match=r"24 trials of a loop take 0\.48 GB, but train\.ridge\.memory_gb is 0\.1; raise it"):
        make_statistics(NEUROPIXELS, "gathered", 1e8)
