"""Gradients of the synapses of a network from a trial and its learning signals.

All rules but the last cut the paths through other neurons and differ in how they sum up what is left (DESIGN section 6):

- `LocalAdjoint`: derivatives go back over the window, and a synapse is touched when its source spikes. Exact within the window.
- `DRtrl`: an eligibility trace of every synapse goes forward. The same gradient in another order, also across windows, at a price
  of all synapses in every step.
- `PpProp`: the trace of a synapse is approximated by the product of a presynaptic and a postsynaptic one (Wang et al. 2026).
- `EPropPlus`: the same, with losses at the ends of windows alone, by traces that are touched when their source spikes; what
  happens to them in between is formed once per neuron.
- `Bptt`: along all paths, through other neurons as well: the oracle, for small networks.
"""

from fitrec.learn.gradient.rules.bptt import Bptt
from fitrec.learn.gradient.rules.d_rtrl import DRtrl
from fitrec.learn.gradient.rules.e_prop_plus import EPropPlus
from fitrec.learn.gradient.rules.local_adjoint import LocalAdjoint
from fitrec.learn.gradient.rules.pp_prop import PpProp
from fitrec.learn.gradient.rules.rule import Adjoints, Gradient, Rule, Signals

__all__ = ["Adjoints", "Bptt", "DRtrl", "EPropPlus", "Gradient", "LocalAdjoint", "PpProp", "Rule", "Signals"]
