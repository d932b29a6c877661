"""How forecasts are asked for, answered, taught and rewarded."""
