"""Checks of neuron models given by their equations, and of the rules that learn with them."""

from collections.abc import Iterator

from fitrec.checks.context import Context
from fitrec.checks.registry import register
from fitrec.config.train import LEAST_SQUARES
from fitrec.errors import ModelError, TrainingError


@register("CRITICAL")
def neuron_model(context: Context) -> Iterator[str]:
    """The model's text has no mistake, and it is clear where synapses end and drives enter."""
    if context.neuron_model is None and context.neuron_model_error:
        yield context.neuron_model_error


@register("CRITICAL")
def rule_fits_neurons(context: Context) -> Iterator[str]:
    """Models given by equations, and continuous fits, are trained by gradients."""
    from fitrec.stages.train import require_rule

    try:
        require_rule(
            context.run.train.rule,
            own_model=context.run.network.model is not None,
            continuous=context.run.targets.continuous is not None,
        )
    except TrainingError as error:
        yield str(error)


@register("CRITICAL")
def trainable_parameters(context: Context) -> Iterator[str]:
    """Parameters that are to be learned exist, and the rule and the equations have a gradient for them."""
    from fitrec.neurons.verify import differentiable_parameters
    from fitrec.stages.train_gradient import require_trainable

    train = context.run.train
    if train.rule in LEAST_SQUARES or not train.gradient.trainable:
        return
    try:
        require_trainable(train.rule, train.gradient)
    except TrainingError as error:
        yield str(error)
    model = context.equations
    if model is None:
        return  # told above
    possible = differentiable_parameters(model)
    for name in train.gradient.trainable:
        if name not in possible:
            yield (
                f"train.gradient.trainable names {name!r}, by which the step of the model {model.name!r} has no derivative; "
                f"it has by {', '.join(possible)}"
            )


@register("CRITICAL")
def stored_synapses(context: Context) -> Iterator[str]:
    """Compiled neurons have stored synapses."""
    network, rule = context.run.network, context.run.train.rule
    if network.balanced.connectivity == "procedural" and (network.model is not None or rule not in LEAST_SQUARES):
        what = "network.model" if network.model is not None else f"train.rule: {rule}"
        yield f"network.balanced.connectivity is procedural, which {what} cannot use; set it to stored"


@register("CRITICAL")
def gradient_paths(context: Context) -> Iterator[str]:
    """A derivative leads from every projection that is learned to the spikes."""
    from fitrec.stages.train_gradient import require_paths

    network, train = context.run.network, context.run.train
    if context.neuron_model is None or train.rule in LEAST_SQUARES:
        return
    model, description = context.neuron_model
    driven = network.feed_forward.n_inputs or int(context.run.targets.continuous is not None)
    inputs = {"exc": network.plastic.n_exc, "inh": network.plastic.n_inh, "feed_forward": driven}
    try:
        require_paths(model, description["ports"], inputs, train.gradient)
    except TrainingError as error:
        yield str(error)


@register("BEST_PRACTICE_VIOLATION")
def stable_step(context: Context) -> Iterator[str]:
    """A step of the model forgets: no eigenvalue of D beyond 1."""
    from fitrec.neurons.verify import stability

    if context.neuron_model is None or context.run.network.model is None:
        return
    try:
        found = stability(context.neuron_model[0], context.run.network.dt_ms)
    except ModelError as error:
        yield str(error)
        return
    if not found.ok:
        yield f"{context.run.network.model.source}: {found.text}"
