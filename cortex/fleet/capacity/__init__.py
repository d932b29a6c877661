"""The memory, time and money that each phase of a run takes, computed from the model's shape before anything is rented.

`cortex.fleet.plan` is another plan: which machines a launch would rent, and at which price.
"""
