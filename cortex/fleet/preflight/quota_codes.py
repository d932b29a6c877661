"""Codes of AWS's quotas on running machines: one for each group of families, in vCPUs, separate for spot and on demand.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html and, on demand,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html
"""

import re

_GROUPS: tuple[tuple[str, str, str], ...] = (
    (r"p5", "L-C4BD4855", "L-417A185B"),
    (r"p[234]", "L-7212CCBC", "L-417A185B"),
    (r"(g|gr|vt)\d", "L-3819A6DF", "L-DB2E81BA"),
    (r"(a|c|d|h|i|im|is|m|r|t|z)\d", "L-34B43A08", "L-1216C47A"),
    (r"x\d", "L-E3A00192", "L-7295265B"),
    (r"inf\d", "L-B5D1601B", "L-1945791B"),
    (r"trn\d", "L-6B0D517C", "L-2C3B7624"),
    (r"dl\d", "L-85EED4F7", "L-6E869C2A"),
    (r"f\d", "L-88CF9481", "L-74FC7D96"),
)
"""Pattern of the beginning of a machine type, and the codes of its quotas, spot and on demand."""


def quota_code(instance_type: str, spot: bool) -> str | None:
    """The code of the quota that a machine counts against; None for a family that is not in the table."""
    for beginning, of_spot, on_demand in _GROUPS:
        if re.match(beginning, instance_type):
            return of_spot if spot else on_demand
    return None
