"""Mistakes about what a worker may do."""

from tests.infra.checks import access
from tests.infra.mistakes.edits import forget, in_statement, put, role_open_to, statement, without_statement
from tests.infra.mistakes.mistake import Mistake

MISTAKES = (
    Mistake("wildcard action", "RolePolicy", statement("WriteRuns", Action=["s3:*"]), access.worker_is_confined),
    Mistake("wildcard resource", "RolePolicy", statement("ReadInputs", Resource=["*"]), access.worker_is_confined),
    Mistake(
        "wildcard read action", "RolePolicy", statement("FindObjects", Action=["s3:List*"]), access.policies_are_sound
    ),
    Mistake(
        "an action that does not exist",
        "RolePolicy",
        statement("FindObjects", Action=["s3:ListBucket", "s3:ListObjects"]),
        access.policies_are_sound,
    ),
    Mistake(
        "an action on the wrong kind of resource",
        "RolePolicy",
        statement("FindObjects", Resource=["arn:aws:s3:::cortex-dev-data-123456789012-us-east-1/*"]),
        access.policies_are_sound,
    ),
    Mistake("a release can be deleted", "RolePolicy", without_statement("ReleasesStay"), access.worker_is_confined),
    Mistake(
        "checkpoints cannot be tagged",
        "RolePolicy",
        statement("PruneCheckpoints", Action=["s3:DeleteObject"]),
        access.worker_can_work,
    ),
    Mistake("no listing", "RolePolicy", without_statement("FindObjects"), access.worker_can_work),
    Mistake("no pruning", "RolePolicy", without_statement("PruneCheckpoints"), access.worker_can_work),
    Mistake("no use of the key", "RolePolicy", without_statement("UseKey"), access.worker_can_work),
    Mistake(
        "key used past S3",
        "RolePolicy",
        in_statement("UseKey", lambda found: found.pop("Condition")),
        access.worker_is_confined,
    ),
    Mistake(
        "machines can be started",
        "RolePolicy",
        in_statement("FindItself", lambda found: found["Action"].append("ec2:RunInstances")),
        access.policies_are_sound,
    ),
    Mistake("an idle machine stays", "RolePolicy", without_statement("EndItself"), access.worker_can_work),
    Mistake(
        "a machine ends any other",
        "RolePolicy",
        in_statement("EndItself", lambda found: found.pop("Condition")),
        access.worker_is_confined,
    ),
    Mistake("all images", "RolePolicy", statement("PullImages", Resource=["*"]), access.worker_is_confined),
    Mistake(
        "images can be pushed",
        "RolePolicy",
        in_statement("PullImages", lambda found: found["Action"].append("ecr:PutImage")),
        access.worker_is_confined,
    ),
    Mistake("all secrets", "RolePolicy", statement("ReadSecrets", Resource=["*"]), access.worker_is_confined),
    Mistake("role without a policy", "RolePolicy", forget, access.worker_can_work),
    Mistake(
        "administrator attached",
        "RolePolicyAttachmentsExclusive",
        put(policy_arns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
        access.worker_is_confined,
        with_managed_policies=True,
    ),
    Mistake("anybody takes the role", "Role", role_open_to({"AWS": "*"}), access.only_machines_take_the_role),
    Mistake(
        "another service takes the role",
        "Role",
        role_open_to({"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}),
        access.only_machines_take_the_role,
    ),
)
