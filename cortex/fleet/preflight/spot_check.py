"""Check that the AWS account is set up for spot machines."""

from cortex.fleet.clouds import aws_api
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "spot"

PATH = "/aws-service-role/spot.amazonaws.com/"
"""Path of the role AWSServiceRoleForEC2Spot, AWS's own role for spot machines. AWS creates it at the first request, if
the caller may create it. Source: "Service-linked role for EC2 Spot Instance requests", Amazon EC2 User Guide."""

_MAKE = "make it once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"


def check(ground: Ground) -> Finding:
    """Look for the role, if the plan has a spot machine of AWS."""
    if not any(offer.cloud == "aws" and offer.spot for _, offers in ground.offers for offer in offers):
        return Finding(NAME, None, "the plan has no spot machine of AWS")
    try:
        found = aws_api.client("iam").list_roles(PathPrefix=PATH)["Roles"]
    except aws_api.error_types() as error:
        return Finding(NAME, None, f"AWS does not tell these credentials its roles ({aws_api.error_code(error)})")
    if not found:
        detail = "this account has never used spot: AWS's own role for it is missing, and it makes it only for who may"
        return Finding(NAME, True, detail, _MAKE)
    return Finding(NAME, True, "the account is set up for spot machines")
