"""Audits of datasets: proofs that no example knows its future, and the skill that so many outcomes can show."""
