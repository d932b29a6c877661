"""Mistakes about buckets and the key."""

from tests.infra.checks import access, storage
from tests.infra.mistakes.edits import (
    encryption,
    forget,
    in_rule,
    in_statement,
    put,
    statement,
    without_rule,
    without_statement,
)
from tests.infra.mistakes.mistake import Mistake

BUCKET_ACCESS = "BucketPublicAccessBlock"
BUCKET_RULES = "BucketLifecycleConfiguration"
BUCKET_ENCRYPTION = "BucketServerSideEncryptionConfiguration"

MISTAKES = (
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
        "a lease can be overwritten",
        "BucketPolicy",
        without_statement("CreateOnly"),
        storage.what_decides_a_run_is_written_once_and_stays,
        "artifacts",
    ),
    Mistake(
        "a lease can be deleted, and taken again",
        "BucketPolicy",
        without_statement("KeepOnly"),
        storage.what_decides_a_run_is_written_once_and_stays,
        "artifacts",
    ),
    Mistake(
        "a profile can be replaced",
        "BucketPolicy",
        in_statement("CreateOnly", lambda found: found["Resource"].pop(0)),
        storage.what_decides_a_run_is_written_once_and_stays,
        "artifacts",
    ),
    Mistake(
        "parts of an upload refused",
        "BucketPolicy",
        statement("CreateOnly", Condition={"Null": {"s3:if-none-match": "true"}}),
        storage.what_decides_a_run_is_written_once_and_stays,
        "artifacts",
    ),
    Mistake(
        "writes without a header refused",
        "BucketPolicy",
        statement("OurEncryptionOnly", Condition={"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}),
        access.worker_can_work,
        "artifacts",
    ),
    Mistake(
        "anything can be tagged",
        "BucketPolicy",
        without_statement("TagNothingElse"),
        storage.nothing_but_checkpoints_is_tagged,
        "artifacts",
    ),
    Mistake(
        "a folder of a release is taken for a checkpoint",
        "BucketPolicy",
        without_statement("TagNothingKept"),
        storage.nothing_but_checkpoints_is_tagged,
        "artifacts",
    ),
    Mistake(
        "a version can be tagged",
        "BucketPolicy",
        statement("TagNothingElse", Action=["s3:PutObjectTagging"]),
        storage.nothing_but_checkpoints_is_tagged,
        "artifacts",
    ),
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
)
