"""The memory, time and money that each phase of a run takes, computed from the model's shape before anything is rented.

`cortex.fleet.launch.launch_plan` is another plan: the machines that a launch would rent, and their prices.
"""
