"""The steps of the road test, in order."""

from scripts.roadtest.step import Step
from scripts.roadtest.steps.begin import BEGIN
from scripts.roadtest.steps.ending import ENDING
from scripts.roadtest.steps.home import HOME
from scripts.roadtest.steps.under_way import UNDER_WAY

STEPS: tuple[Step, ...] = (*BEGIN, *UNDER_WAY, *HOME, *ENDING)
