"""Review: people decide of a teacher's answers; their decisions are kept, compared with the rules, and used."""
