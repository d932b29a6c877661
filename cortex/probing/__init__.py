"""Further questions to a model, and their findings: consistency, sensitivity, odd inputs, contamination."""
