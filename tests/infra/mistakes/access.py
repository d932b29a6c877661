"""Mistakes about a worker's rights."""

from typing import Any

from cortex.artifacts.file_names import BASES, RUNS
from infra.names import OWN_BASE, OWN_RUN
from tests.infra.checks import access
from tests.infra.mistakes.edits import forget, in_statement, put, role_open_to, statement, without_statement
from tests.infra.mistakes.mistake import Mistake


def _of_every_run(statement: dict[str, Any]) -> None:
    statement["Resource"] = [resource.replace(OWN_RUN, f"{RUNS}/*") for resource in statement["Resource"]]


def _of_every_base(statement: dict[str, Any]) -> None:
    statement["Resource"] = [resource.replace(OWN_BASE, f"{BASES}/*") for resource in statement["Resource"]]


MISTAKES = (
    Mistake(
        "a run writes every base",
        "Policy",
        in_statement("WriteRun", _of_every_base),
        access.a_run_writes_the_copy_of_its_own_base_alone,
    ),
    Mistake("wildcard action", "Policy", statement("WriteRun", Action=["s3:*"]), access.policies_are_sound),
    Mistake("wildcard resource", "Policy", statement("ReadInputs", Resource=["*"]), access.worker_is_confined),
    Mistake("wildcard read action", "Policy", statement("FindObjects", Action=["s3:List*"]), access.policies_are_sound),
    Mistake(
        "an action that does not exist",
        "Policy",
        statement("FindObjects", Action=["s3:ListBucket", "s3:ListObjects"]),
        access.policies_are_sound,
    ),
    Mistake(
        "an action on the wrong kind of resource",
        "Policy",
        statement("FindObjects", Resource=["arn:aws:s3:::cortex-dev-data-123456789012-us-east-1/*"]),
        access.policies_are_sound,
    ),
    Mistake("a release can be deleted", "Policy", without_statement("ReleasesStay"), access.worker_is_confined),
    Mistake("a machine signs", "Policy", without_statement("OperatorsSign"), access.worker_is_confined),
    Mistake(
        "checkpoints cannot be tagged",
        "Policy",
        statement("PruneCheckpoints", Action=["s3:DeleteObject"]),
        access.worker_can_work,
    ),
    Mistake("no listing", "Policy", without_statement("FindObjects"), access.worker_can_work),
    Mistake("no pruning", "Policy", without_statement("PruneCheckpoints"), access.worker_can_work),
    Mistake("no use of the key", "Policy", without_statement("UseKey"), access.worker_can_work),
    Mistake(
        "key used past S3",
        "Policy",
        in_statement("UseKey", lambda found: found.pop("Condition")),
        access.worker_is_confined,
    ),
    Mistake(
        "machines can be started",
        "Policy",
        in_statement("FindItself", lambda found: found["Action"].append("ec2:RunInstances")),
        access.policies_are_sound,
    ),
    Mistake("an idle machine stays", "Policy", without_statement("EndItself"), access.worker_can_work),
    Mistake(
        "a machine ends any other",
        "Policy",
        in_statement("EndItself", lambda found: found.pop("Condition")),
        access.worker_is_confined,
    ),
    Mistake("all images", "Policy", statement("PullImages", Resource=["*"]), access.worker_is_confined),
    Mistake(
        "images can be pushed",
        "Policy",
        in_statement("PullImages", lambda found: found["Action"].append("ecr:PutImage")),
        access.worker_is_confined,
    ),
    Mistake(
        "all secrets",
        "Policy",
        in_statement("SignInToRegistry", lambda found: found["Action"].append("secretsmanager:GetSecretValue")),
        access.worker_is_confined,
    ),
    Mistake("workbench without a policy", "RolePolicy", forget, access.other_machines_read_and_write_no_run),
    Mistake(
        "a workbench writes into runs",
        "RolePolicy",
        in_statement("ReadInputs", lambda found: found["Action"].append("s3:PutObject")),
        access.other_machines_read_and_write_no_run,
    ),
    *(
        Mistake(
            f"{title} of every run",
            "Policy",
            in_statement(sid, _of_every_run),
            access.a_run_reaches_its_own_folder_alone,
        )
        for title, sid in (("objects", "ReadInputs"), ("writes", "WriteRun"), ("checkpoints", "PruneCheckpoints"))
    ),
    Mistake(
        "runs whose id begins alike",
        "Policy",
        in_statement("WriteRun", lambda found: found.update(Resource=[found["Resource"][0].removesuffix("/*") + "*"])),
        access.a_run_reaches_its_own_folder_alone,
    ),
    Mistake(
        "the session's name decides, which a caller chooses",
        "Policy",
        in_statement("WriteRun", lambda found: found.update(Resource=["arn:aws:s3:::*/runs/${aws:username}/*"])),
        access.worker_can_work,
    ),
    Mistake(
        "administrator attached",
        "RolePolicyAttachmentsExclusive",
        put(policy_arns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
        access.other_machines_read_and_write_no_run,
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
