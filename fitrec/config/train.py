"""Configuration of the train stage: the rule and its settings."""

from typing import Literal

from pydantic import Field

from fitrec.config.base import Section


class Ridge(Section):
    """Batch least squares with annealed teacher forcing."""

    forcing: list[float] = Field(
        [1.0, 0.5, 0.5, 0.3, 0.0],
        min_length=1,
        description="Teacher forcing of each iteration, from 1 (targets only) to 0 (closed loop).",
    )
    trials: int = Field(15, ge=1, description="Trials per condition and iteration.")
    penalty: float = Field(0.04, gt=0, description="lambda: L2 penalty around the initial weights (per-ms traces, as published).")
    penalty_row_sum: float = Field(8.0, ge=0, description="mu: penalty on the change of the summed E and summed I weights.")
    penalty_feed_forward: float = Field(0.02, gt=0, description="lambda_FF: L2 penalty of the feed-forward weights.")
    discount: float = Field(0.7, ge=0, le=1, description="Weight of the statistics of earlier iterations.")
    correction_gain: float = Field(0.4, ge=0, description="Gain of the target correction through the f-I slope; 0: none.")
    correction_from: int = Field(3, ge=1, description="First iteration (from 1) whose targets are corrected.")
    learn_every_ms: float = Field(20.0, gt=0, description="Spacing of the learning times in ms.")


class Rls(Section):
    """Recursive least squares, online."""

    loops: int = Field(100, ge=1, description="Passes over all conditions.")
    scaling: Literal["published", "relative"] = Field(
        "published",
        description="'published': lambda in absolute units; 'relative': lambda times the mean square of the traces x inputs.",
    )
    penalty: float = Field(0.04, gt=0, description="lambda: L2 penalty around the initial weights.")
    penalty_row_sum: float = Field(8.0, ge=0, description="mu: penalty on the change of the summed E and summed I weights.")
    penalty_feed_forward: float = Field(1.0, gt=0, description="lambda_FF: L2 penalty of the feed-forward weights.")
    learn_every_ms: float = Field(20.0, gt=0, description="Spacing of the updates in ms.")
    evaluate_every: int = Field(20, ge=1, description="Loops between frozen-weight evaluations for the learning curve.")


class TrainConfig(Section):
    """The train stage."""

    rule: Literal["ridge", "rls"] = Field("ridge", description="Learning rule.")
    rate_floor_hz: float = Field(0.1, gt=0, description="Target rates below it are raised to it before they become drives.")
    ridge: Ridge = Ridge()
    rls: Rls = Rls()
    checkpoint_every_s: float = Field(60.0, gt=0, description="Least time between periodic checkpoints in seconds.")
