"""Learning by gradients: losses, readouts, constraints of weights, optimisers."""
