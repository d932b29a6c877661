"""Market forecasting: where tables come from, and how they become examples with a prompt and a realised outcome."""
