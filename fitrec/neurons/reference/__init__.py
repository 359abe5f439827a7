"""Networks of any neuron model and their gradients in float64, from the model's text: what compiled code is checked against."""
