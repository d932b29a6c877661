"""The emulated cloud's rules of authorization, compared with the IAM user guide."""

import pytest

pytest.importorskip("moto", reason="the infra environment is not installed: images/infra/requirements.lock")

from infra.policies import Statement, document
from tests.infra.emulation.authorization import allowed, denied, holds

ALLOW: Statement = {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::b/runs/*"}
DENY: Statement = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/runs/r?/release/*"]}


@pytest.mark.parametrize(
    ("statements", "action", "resource", "expected"),
    [
        ([], "s3:GetObject", "arn:aws:s3:::b/runs/x", False),
        ([ALLOW], "s3:GetObject", "arn:aws:s3:::b/runs/x/y", True),
        ([ALLOW], "S3:getobject", "arn:aws:s3:::b/runs/x", True),
        ([ALLOW], "s3:PutObject", "arn:aws:s3:::b/runs/x", False),
        ([ALLOW], "s3:GetObject", "arn:aws:s3:::b/RUNS/x", False),
        ([ALLOW], "s3:GetObject", "arn:aws:s3:::bXruns/x", False),
        ([ALLOW, DENY], "s3:GetObject", "arn:aws:s3:::b/runs/r1/release/x", False),
        ([ALLOW, DENY], "s3:GetObject", "arn:aws:s3:::b/runs/r12/release/x", True),
        ([DENY, ALLOW], "s3:GetObjectTagging", "arn:aws:s3:::b/runs/r1/release/x", True),
    ],
)
def test_one_statement_allows_and_none_denies(
    statements: list[Statement], action: str, resource: str, expected: bool
) -> None:
    assert allowed([document(*statements)], action, resource) is expected


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({}, {}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, {}, False),
        ({"Null": {"s3:if-none-match": "true"}}, {}, True),
        ({"Null": {"s3:if-none-match": "true"}}, {"s3:if-none-match": "*"}, False),
        ({"StringEquals": {"k": ["a", "b"]}}, {"K": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringNotEquals": {"k": "a"}}, {"k": "b"}, True),
        ({"StringNotEquals": {"k": "a"}}, {"k": "a"}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"ArnNotEquals": {"k": "arn:x:*"}}, {"k": "arn:x:1"}, False),
        ({"ArnNotEquals": {"k": "arn:x:*"}}, {"k": "arn:y:1"}, True),
        ({"ArnEquals": {"k": "arn:x:${a:B}"}}, {"k": "arn:x:1", "a:b": "1"}, True),
        ({"ArnEquals": {"k": "arn:x:${a:B}"}}, {"k": "arn:x:1", "a:b": "2"}, False),
        ({"ArnEquals": {"k": "arn:x:${a:B}"}}, {"k": "arn:x:1"}, False),
        ({"ArnEquals": {"k": "arn:x:${a:B}"}}, {"a:b": "1"}, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3:TlsVersion": "1.1"}, True),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3:TlsVersion": "1.2"}, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {}, False),
        ({"Null": {"k": "false"}, "StringNotEquals": {"k": "a"}}, {}, False),
        ({"Null": {"k": "false"}, "StringNotEquals": {"k": "a"}}, {"k": "b"}, True),
    ],
)
def test_conditions_hold_as_documented(condition: dict, context: dict[str, str], expected: bool) -> None:
    assert holds(condition, context) is expected


def test_a_denial_whose_condition_does_not_hold_denies_nothing() -> None:
    policy = document({**DENY, "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    resource = "arn:aws:s3:::b/runs/r1/release/x"
    assert denied([policy], "s3:GetObject", resource, {"aws:SecureTransport": "false"})
    assert not denied([policy], "s3:GetObject", resource, {"aws:SecureTransport": "true"})


OWN: Statement = {
    "Effect": "Allow",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::b/runs/${aws:PrincipalTag/run}/*",
}
ELSE: Statement = {"Effect": "Deny", "Action": "s3:GetObject", "NotResource": ["arn:aws:s3:::b/runs/*"]}


@pytest.mark.parametrize(
    ("tags", "resource", "expected"),
    [
        ({"run": "r1"}, "arn:aws:s3:::b/runs/r1/x/y", True),
        ({"RUN": "r1"}, "arn:aws:s3:::b/runs/r1/x", True),
        ({"run": "r1"}, "arn:aws:s3:::b/runs/r10/x", False),
        ({"run": "r1"}, "arn:aws:s3:::b/runs/R1/x", False),
        ({"run": "*"}, "arn:aws:s3:::b/runs/r1/x", False),
        ({"run": "r?"}, "arn:aws:s3:::b/runs/r1/x", False),
        ({"run": "r.1"}, "arn:aws:s3:::b/runs/rx1/x", False),
        ({}, "arn:aws:s3:::b/runs/r1/x", False),
        ({}, "arn:aws:s3:::b/runs/${aws:PrincipalTag/run}/x", False),
    ],
)
def test_a_variable_in_a_resource_is_the_callers_own(tags: dict[str, str], resource: str, expected: bool) -> None:
    context = {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}
    assert allowed([document(OWN)], "s3:GetObject", resource, context) is expected


def test_all_but_the_named_resources_are_denied() -> None:
    assert denied([document(ELSE)], "s3:GetObject", "arn:aws:s3:::b/other/x")
    assert not denied([document(ELSE)], "s3:GetObject", "arn:aws:s3:::b/runs/x")


def test_an_operator_that_nobody_wrote_down_is_no_guess() -> None:
    with pytest.raises(NotImplementedError, match="IpAddress"):
        holds({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {})
