"""Mistakes that a person could make in the program, each with the check that must catch it."""

import json
from dataclasses import dataclass

from tests.infra.checks import Check, access, estate, network, storage
from tests.infra.edits import (
    Edit,
    encryption,
    forget,
    in_policy,
    in_rule,
    put,
    role_open_to,
    statement,
    without,
    without_rule,
    without_statement,
)
from tests.infra.emulation.engine import Declared


@dataclass(frozen=True)
class Mistake:
    """A change to every declared resource of one kind (and name), and what notices it."""

    title: str
    kind: str
    edit: Edit
    caught_by: Check
    name: str | None = None
    with_managed_policies: bool = False

    def plant(self, resource: Declared) -> None:
        if resource.type.endswith(f":{self.kind}") and self.name in (None, resource.name):
            self.edit(resource)


BUCKET_ACCESS = "BucketPublicAccessBlock"
BUCKET_RULES = "BucketLifecycleConfiguration"
BUCKET_ENCRYPTION = "BucketServerSideEncryptionConfiguration"
INBOUND = "SecurityGroupIngressRule"
KEEPS_ONE_IMAGE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
                "action": {"type": "expire"},
            }
        ]
    }
)

MISTAKES = (
    # Buckets
    Mistake("public access not blocked", BUCKET_ACCESS, forget, storage.buckets_are_private),
    Mistake("public policies allowed", BUCKET_ACCESS, put(block_public_policy=False), storage.buckets_are_private),
    Mistake("public ACLs honoured", BUCKET_ACCESS, put(ignore_public_acls=False), storage.buckets_are_private, "data"),
    Mistake(
        "objects owned by writers",
        "BucketOwnershipControls",
        put(rule={"object_ownership": "ObjectWriter"}),
        storage.buckets_are_private,
    ),
    Mistake("no versions", "BucketVersioning", forget, storage.buckets_keep_versions, "artifacts"),
    Mistake(
        "versions suspended",
        "BucketVersioning",
        put(versioning_configuration={"status": "Suspended"}),
        storage.buckets_keep_versions,
    ),
    Mistake(
        "Amazon's key, not ours",
        BUCKET_ENCRYPTION,
        encryption(apply_server_side_encryption_by_default={"sse_algorithm": "AES256"}),
        storage.objects_are_encrypted_under_our_key,
    ),
    Mistake(
        "wrong key",
        BUCKET_ENCRYPTION,
        encryption(
            apply_server_side_encryption_by_default={
                "sse_algorithm": "aws:kms",
                "kms_master_key_id": "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000",
            }
        ),
        storage.objects_are_encrypted_under_our_key,
        "data",
    ),
    Mistake(
        "a call to KMS per object",
        BUCKET_ENCRYPTION,
        encryption(bucket_key_enabled=False),
        storage.objects_are_encrypted_under_our_key,
    ),
    Mistake("key never rotated", "Key", put(enable_key_rotation=False), storage.key_is_ours_and_rotates),
    Mistake(
        "key open to another account",
        "Key",
        statement("AccountDecides", Principal={"AWS": "*"}),
        storage.key_is_ours_and_rotates,
    ),
    Mistake("plain HTTP", "BucketPolicy", without_statement("TlsOnly"), storage.plain_http_is_refused, "artifacts"),
    Mistake("old TLS", "BucketPolicy", without_statement("ModernTlsOnly"), storage.plain_http_is_refused, "data"),
    Mistake("no bucket policy", "BucketPolicy", forget, storage.other_encryption_is_refused, "artifacts"),
    Mistake(
        "any key", "BucketPolicy", without_statement("OurKeyOnly"), storage.other_encryption_is_refused, "artifacts"
    ),
    Mistake(
        "writes without a header refused",
        "BucketPolicy",
        statement("OurEncryptionOnly", Condition={"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}),
        access.worker_can_work,
        "artifacts",
    ),
    # Lifecycle
    Mistake("no lifecycle", BUCKET_RULES, put(rules=[]), storage.unfinished_uploads_go, "data"),
    Mistake("uploads left over", BUCKET_RULES, without_rule("leftovers"), storage.unfinished_uploads_go, "artifacts"),
    Mistake(
        "checkpoints kept for ever",
        BUCKET_RULES,
        without_rule("old-checkpoints"),
        storage.checkpoints_go_and_releases_stay,
        "artifacts",
    ),
    Mistake(
        "checkpoint rule off",
        BUCKET_RULES,
        in_rule("old-checkpoints", lambda rule: rule.update(status="Disabled")),
        storage.checkpoints_go_and_releases_stay,
        "artifacts",
    ),
    Mistake(
        "releases expire",
        BUCKET_RULES,
        in_rule("old-checkpoints", lambda rule: rule.update(filter={"prefix": "runs/"})),
        storage.checkpoints_go_and_releases_stay,
        "artifacts",
    ),
    Mistake(
        "old data kept for ever",
        BUCKET_RULES,
        without_rule("old-versions"),
        storage.old_versions_of_data_go,
        "data",
    ),
    # The worker
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
    Mistake("a lease can be overwritten", "RolePolicy", without_statement("CreateIfAbsent"), access.worker_is_confined),
    Mistake("a release can be deleted", "RolePolicy", without_statement("ReleasesStay"), access.worker_is_confined),
    Mistake("no listing", "RolePolicy", without_statement("FindObjects"), access.worker_can_work),
    Mistake("no pruning", "RolePolicy", without_statement("PruneCheckpoints"), access.worker_can_work),
    Mistake("no use of the key", "RolePolicy", without_statement("UseKey"), access.worker_can_work),
    Mistake(
        "key used past S3", "RolePolicy", in_policy(lambda found: found[6].pop("Condition")), access.worker_is_confined
    ),
    Mistake("all images", "RolePolicy", statement("PullImages", Resource=["*"]), access.worker_is_confined),
    Mistake(
        "images can be pushed",
        "RolePolicy",
        in_policy(lambda found: found[8]["Action"].append("ecr:PutImage")),
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
    # Network
    Mistake(
        "SSH open to the world",
        INBOUND,
        put(cidr_ipv4="0.0.0.0/0"),
        network.nothing_comes_in_but_ssh,
        "network-ssh-198.51.100.7/32",
    ),
    Mistake("open port", INBOUND, put(to_port=8000), network.nothing_comes_in_but_ssh, "network-ssh-198.51.100.7/32"),
    Mistake("default group left open", "DefaultSecurityGroup", forget, network.nothing_comes_in_but_ssh),
    Mistake(
        "EFA has no way out",
        "SecurityGroupEgressRule",
        forget,
        network.skypilot_finds_its_way,
        "network-among-themselves",
    ),
    Mistake("no inbound rule at all", INBOUND, forget, network.skypilot_finds_its_way),
    Mistake("network without its name", "Vpc", put(tags={}), network.skypilot_finds_its_way),
    Mistake("missing endpoint", "VpcEndpoint", forget, network.s3_is_reached_for_free),
    Mistake("endpoint that costs", "VpcEndpoint", put(vpc_endpoint_type="Interface"), network.s3_is_reached_for_free),
    Mistake("endpoint on no route", "VpcEndpoint", put(route_table_ids=[]), network.s3_is_reached_for_free),
    Mistake(
        "data leaves through the endpoint",
        "VpcEndpoint",
        without_statement("NoWritesElsewhere"),
        network.writes_stay_in_the_account,
    ),
    Mistake("no way out", "Route", forget, network.machines_reach_out_of_every_zone),
    Mistake(
        "no public address", "Subnet", put(map_public_ip_on_launch=False), network.machines_reach_out_of_every_zone
    ),
    Mistake("all in one zone", "Subnet", put(availability_zone="us-east-1a"), network.machines_reach_out_of_every_zone),
    Mistake(
        "a zone without routes",
        "RouteTableAssociation",
        forget,
        network.machines_reach_out_of_every_zone,
        "network-us-east-1b",
    ),
    # Images, money, secrets, house-keeping
    Mistake("tags that move", "Repository", put(image_tag_mutability="MUTABLE"), estate.images_are_fixed_and_scanned),
    Mistake("no scan", "Repository", without("image_scanning_configuration"), estate.images_are_fixed_and_scanned),
    Mistake(
        "images in use expire", "LifecyclePolicy", put(policy=KEEPS_ONE_IMAGE), estate.images_are_fixed_and_scanned
    ),
    Mistake("no alarm", "Budget", put(notifications=[]), estate.spend_sounds_an_alarm),
    Mistake("alarm for the year", "Budget", put(time_unit="ANNUALLY"), estate.spend_sounds_an_alarm),
    Mistake("budget in thousands", "Budget", put(limit_amount="200000"), estate.spend_sounds_an_alarm),
    Mistake("secret under Amazon's key", "Secret", without("kms_key_id"), estate.secrets_are_places_without_values),
    Mistake(
        "secret under another name",
        "Secret",
        put(name="token"),
        estate.secrets_are_places_without_values,
        "secrets-hugging-face-token",
    ),
    Mistake("no default tags", "aws", without("default_tags"), estate.everything_is_tagged),
    Mistake("any account", "aws", put(allowed_account_ids="[]"), estate.everything_is_in_the_named_account),
    Mistake(
        "bucket emptied on the way down",
        "Bucket",
        put(force_destroy=True),
        estate.data_outlives_the_stack,
        "artifacts",
    ),
    Mistake("key gone in a week", "Key", put(deletion_window_in_days=7), estate.data_outlives_the_stack),
    Mistake(
        "second bucket public",
        "Bucket",
        put(public_access_prevention="inherited"),
        storage.second_bucket_is_private,
        "artifacts-gcs",
    ),
)
