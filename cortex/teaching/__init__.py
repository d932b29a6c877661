"""Prompts, answers, teachers and rewards of forecasts."""
