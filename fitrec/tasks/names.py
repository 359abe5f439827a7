"""Names that the command line offers; nothing numerical is imported here."""

RULES = ("e-prop", "e-prop-plus")
# Model without adaptation: its sibling with adaptation.
FAMILIES = {
    "eprop_iaf_bsshslm_2020": "eprop_iaf_adapt_bsshslm_2020",
    "eprop_iaf": "eprop_iaf_adapt",
    "eprop_iaf_psc_delta": "eprop_iaf_psc_delta_adapt",
}
MODELS = tuple(name for family in FAMILIES.items() for name in family)
DEFAULT_MODELS = {"e-prop": "eprop_iaf_bsshslm_2020", "e-prop-plus": "eprop_iaf"}
PATTERNS = ("sine-waves", "lemniscate", "handwriting")
OPTIMIZERS = ("sgd", "adam")
PRECISIONS = ("float32", "float64")
SURROGATES = ("piecewise_linear", "exponential", "fast_sigmoid", "arctan")
FEEDBACKS = ("random", "symmetric", "adaptive")
# Tasks with compiled neurons.
GRADIENT_RULES = ("local-adjoint", "pp-prop", "d-rtrl", "bptt")
DALE = ("clip", "exponential", "softplus", "none")
EI_MODELS = ("gif_coba",)
NMNIST_MODELS = ("alif", "lif_psc_delta", "lif_psc_delta_adapt")


def rule_of(model: str) -> str:
    """Return the rule that a model's dynamics belong to."""
    return "e-prop" if model.endswith("_bsshslm_2020") else "e-prop-plus"


def is_adaptive(model: str) -> bool:
    """Whether the model has an adaptive threshold."""
    return model in FAMILIES.values()
