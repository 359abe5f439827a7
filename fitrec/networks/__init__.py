"""Networks: populations, wiring, inputs, and the mapping from model neurons to recorded units."""
