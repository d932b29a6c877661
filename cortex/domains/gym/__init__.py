"""Tasks of maths and logic, made and verified by reasoning-gym."""

from cortex.domains.gym.domain import Gym

DOMAIN = Gym
