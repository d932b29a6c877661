"""AWS's decision on a call, for the emulator, which knows no conditions.

Source: the evaluation logic, wildcard and condition chapters of the IAM user guide. Only what our policies use is
here; an unknown operator raises.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from moto.core.authorization import ActionAuthenticatorMixin, enable_iam_authentication
from moto.iam.access_control import IAMPolicy, IAMRequestBase, PermissionResult
from moto.iam.models import Role, iam_backends
from moto.s3.models import FakeBucket, s3_backends

Context = Mapping[str, str]

_url: ContextVar[str] = ContextVar("url")
"""The URL of the current request: moto does not pass it to the place where it decides."""

_VARIABLE = re.compile(r"\$\{([^}]+)\}")

_authenticate = ActionAuthenticatorMixin._authenticate_and_authorize_action


def allowed(policies: Iterable[str], action: str, resource: str, context: Context | None = None) -> bool:
    """True where a caller with these identity policies may do it: one statement allows, and none denies."""
    effects = _effects(policies, action, resource, context or {})
    return "Allow" in effects and "Deny" not in effects


def denied(policies: Iterable[str], action: str, resource: str, context: Context | None = None) -> bool:
    """True where a resource's own policies refuse it to everybody."""
    return "Deny" in _effects(policies, action, resource, context or {})


def holds(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """True where every operator of a statement's condition holds, for each of its keys."""
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(operator, known.get(key.lower()), _filled(expected, known))
        for operator, keys in condition.items()
        for key, expected in keys.items()
    )


@contextmanager
def emulated_authorization() -> Iterator[None]:
    """Make moto decide every S3, ECR and Secrets Manager call by these rules, where authorization is switched on."""
    with (
        patch.object(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", _authenticate_with_url),
        patch.object(IAMRequestBase, "check_action_permitted", _check),
        # moto checks bucket policies without the request that a condition needs; `_check` checks them with it.
        patch.object(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL),
    ):
        yield


enforced = enable_iam_authentication


def _effects(policies: Iterable[str], action: str, resource: str, context: Context) -> set[str]:
    return {
        statement["Effect"]
        for policy in policies
        for statement in _listed(json.loads(policy)["Statement"])
        if _matches(statement["Action"], action.lower(), str.lower)
        and _is_about(statement, resource, {key.lower(): value for key, value in context.items()})
        and holds(statement.get("Condition", {}), context)
    }


def _is_about(statement: Mapping[str, Any], resource: str, known: Context) -> bool:
    patterns = statement.get("NotResource", statement.get("Resource"))
    named = any(_fits(pattern, resource, known) for pattern in _listed(patterns))
    return named is ("NotResource" not in statement)


def _fits(pattern: str, resource: str, known: Context) -> bool:
    """A variable stands for its value, taken literally; a variable that the request lacks fits nothing."""
    if not all(name.lower() in known for name in _VARIABLE.findall(pattern)):
        return False
    pieces = _VARIABLE.split(pattern)  # text and names of variables in turn
    words = [re.escape(known[piece.lower()]) if at % 2 else _wild(piece) for at, piece in enumerate(pieces)]
    return re.fullmatch("".join(words), resource) is not None


def _wild(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


def _holds(operator: str, actual: str | None, expected: list[str]) -> bool:
    positive = {
        "Null": lambda: expected == [str(actual is None).lower()],
        "Bool": lambda: actual is not None and actual.lower() in [value.lower() for value in expected],
        "StringEquals": lambda: actual in expected,
        "ArnEquals": lambda: actual is not None and _matches(expected, actual, str),
        "NumericLessThan": lambda: actual is not None and float(actual) < float(expected[0]),
    }
    # A negated operator holds where the request lacks the key.
    negated = operator.replace("NotEquals", "Equals")
    if negated not in positive:
        raise NotImplementedError(f"condition operator {operator}")
    return positive[negated]() is (negated == operator)


def _filled(expected: Any, known: Context) -> list[str]:
    """The values that a key is compared with. A value with a variable that the request lacks matches nothing."""
    values = [str(value) for value in _listed(expected)]
    return [
        _VARIABLE.sub(lambda found: known[found[1].lower()], value)
        for value in values
        if all(name.lower() in known for name in _VARIABLE.findall(value))
    ]


def _matches(patterns: Any, value: str, fold: Any) -> bool:
    return any(re.fullmatch(_wild(fold(pattern)), value) for pattern in _listed(patterns))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _authenticate_with_url(self: Any, request_class: type, resource: str = "*") -> None:
    _url.set(self.uri)
    _authenticate(self, request_class, resource)


def _check(self: Any, resource: str) -> None:
    """Stands in for `IAMRequestBase.check_action_permitted`."""
    resource = _resource(self) or resource
    role = _role(self)
    context = {**_context(self), **{f"aws:PrincipalTag/{key}": value for key, value in role_tags(role).items()}}
    identity = [json.dumps(IAMPolicy(policy)._policy_json) for policy in self._access_key.collect_policies()]
    boundary = _boundary(role) or identity
    of_bucket = _bucket_policies(self.account_id, resource)
    for action in _actions(self):
        given = allowed(identity, action, resource, context) and allowed(boundary, action, resource, context)
        if not given or denied(of_bucket, action, resource, context):
            self._raise_access_denied()


def role_tags(role: Role | None) -> dict[str, str]:
    """The tags of a role, which every call of its machines carries."""
    return {tag["Key"]: tag["Value"] for tag in role.tags} if role else {}


def _role(request: Any) -> Role | None:
    name = getattr(request._access_key, "_owner_role_name", None)
    return iam_backends[request.account_id]["aws"].get_role(name) if name else None


def _boundary(role: Role | None) -> list[str]:
    """A role's permissions boundary: its most rights, whatever its policies say."""
    arn = role.permissions_boundary_arn if role else None
    if not arn:
        return []
    assert role
    return [json.dumps(IAMPolicy(iam_backends[role.account_id]["aws"].get_policy(arn))._policy_json)]


def _actions(request: Any) -> list[str]:
    """Actions that a call needs: S3 wants the right to tag, too, from a caller that sends tags along with an object."""
    tagged = "x-amz-tagging" in {name.lower() for name in dict(request._headers)}
    return [request._action, *(["s3:PutObjectTagging"] if tagged and request._action == "s3:PutObject" else [])]


def _bucket_policies(account: str, resource: str) -> list[str]:
    service, _, path = resource.removeprefix("arn:aws:").partition(":::")
    bucket = s3_backends[account]["aws"].buckets.get(path.partition("/")[0]) if service == "s3" else None
    return [bucket.policy.decode()] if bucket is not None and bucket.policy else []


def _resource(request: Any) -> str | None:
    """The ARN that a call is about, for calls where moto says `*`."""
    given = json.loads(request._body or b"{}") if request._service in ("ecr", "secretsmanager") else {}
    if "repositoryName" in given:
        return f"arn:aws:ecr:{request._region}:{request.account_id}:repository/{given['repositoryName']}"
    return given.get("SecretId")


def _context(request: Any) -> dict[str, str]:
    """S3's condition keys of a request, as far as our policies use them; TLS is taken to be a modern version."""
    secure = _url.get().startswith("https:")
    context = {"aws:SecureTransport": str(secure).lower(), **({"s3:TlsVersion": "1.3"} if secure else {})}
    headers = {name.lower(): value for name, value in dict(request._headers).items()}
    for header in ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "if-none-match"):
        if header in headers:
            context[f"s3:{header}"] = unquote(headers[header])
    if request._action == "s3:PutObject":
        context["s3:ObjectCreationOperation"] = "true"
    return context
