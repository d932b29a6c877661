"""Every gate, in the order of the chapter."""

from cortex.domains.markets.certainty.adaptive_conformal import adaptive_intervals
from cortex.domains.markets.certainty.certainty_gate import Gate
from cortex.domains.markets.certainty.changepoint_gate import keep_since_change
from cortex.domains.markets.certainty.confidence_set import keep_in_confidence_set
from cortex.domains.markets.certainty.conformal import keep_one_direction, split_intervals
from cortex.domains.markets.certainty.cost_gate import keep_above_cost
from cortex.domains.markets.certainty.disagreement import keep_agreed, keep_sure
from cortex.domains.markets.certainty.edge_gate import keep_with_edge
from cortex.domains.markets.certainty.factor_gate import keep_with_factors
from cortex.domains.markets.certainty.information_ratio import keep_with_information
from cortex.domains.markets.certainty.kelly_gate import keep_with_stake
from cortex.domains.markets.certainty.online_changepoint import keep_while_positive
from cortex.domains.markets.certainty.order_flow import keep_untoxic, keep_with_flow
from cortex.domains.markets.certainty.quantile_intervals import quantile_intervals
from cortex.domains.markets.certainty.regime_gate import keep_in_good_regimes

INTERVAL_GATES = (
    Gate("conformal", "Conformal", "crepes", split_intervals),
    Gate("adaptive_conformal", "Adaptive conformal", "own", adaptive_intervals),
    Gate("quantiles", "Quantile regression", "statsmodels", quantile_intervals),
)
"""Gates that replace an interval."""

KEEPING_GATES = (
    Gate("one_direction", "Conformal direction", "crepes", keep_one_direction),
    Gate("information", "Information ratio", "scipy", keep_with_information),
    Gate("changepoint", "Changepoint, offline", "ruptures", keep_since_change),
    Gate("online_changepoint", "Changepoint, online", "own", keep_while_positive),
    Gate("regime", "Regime", "hmmlearn", keep_in_good_regimes),
    Gate("confidence_set", "Model confidence set", "arch", keep_in_confidence_set),
    Gate("edge", "Edge test", "statsmodels", keep_with_edge),
    Gate("epistemic", "Epistemic uncertainty", "own", keep_agreed),
    Gate("aleatoric", "Aleatoric uncertainty", "own", keep_sure),
    Gate("kelly", "Kelly, uncertain edge", "scipy", keep_with_stake),
    Gate("cost", "Execution cost", "own", keep_above_cost),
    Gate("toxicity", "Flow toxicity (VPIN)", "own", keep_untoxic),
    Gate("adverse_selection", "Adverse selection", "own", keep_with_flow),
    Gate("factors", "Factor weighting", "own", keep_with_factors),
)
"""Gates that keep a forecast or abstain."""
