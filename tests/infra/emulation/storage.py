"""Keys and buckets."""

from typing import Any

from tests.infra.emulation.account import Account, Inputs, Made, pascal, tags


class Storage(Account):
    """Each method makes the resource of its name."""

    def kms_key(self, i: Inputs) -> Made:
        kms = self.client("kms")
        made = kms.create_key(Policy=i["policy"], Description=i["description"], Tags=tags(i, "TagKey", "TagValue"))
        key = made["KeyMetadata"]["KeyId"]
        if i.get("enable_key_rotation"):
            kms.enable_key_rotation(KeyId=key)
        return key, {"arn": made["KeyMetadata"]["Arn"]}

    def kms_alias(self, i: Inputs) -> Made:
        self.client("kms").create_alias(AliasName=i["name"], TargetKeyId=i["target_key_id"])
        return i["name"], {}

    def s3_bucket(self, i: Inputs) -> Made:
        s3 = self.client("s3")
        place = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        s3.create_bucket(Bucket=i["bucket"], **({} if self.region == "us-east-1" else place))
        s3.put_bucket_tagging(Bucket=i["bucket"], Tagging={"TagSet": tags(i)})
        return i["bucket"], {"arn": f"arn:aws:s3:::{i['bucket']}", "bucket": i["bucket"]}

    def s3_bucket_public_access_block(self, i: Inputs) -> Made:
        flags = ("block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets")
        self.client("s3").put_public_access_block(
            Bucket=i["bucket"],
            PublicAccessBlockConfiguration={pascal(flag): i.get(flag, False) for flag in flags},
        )
        return i["bucket"], {}

    def s3_bucket_ownership_controls(self, i: Inputs) -> Made:
        rule = {"ObjectOwnership": i["rule"]["object_ownership"]}
        self.client("s3").put_bucket_ownership_controls(Bucket=i["bucket"], OwnershipControls={"Rules": [rule]})
        return i["bucket"], {}

    def s3_bucket_server_side_encryption_configuration(self, i: Inputs) -> Made:
        rules = []
        for rule in i["rules"]:
            given = rule["apply_server_side_encryption_by_default"]
            default = {"SSEAlgorithm": given["sse_algorithm"]}
            if "kms_master_key_id" in given:
                default["KMSMasterKeyID"] = given["kms_master_key_id"]
            rules.append(
                {
                    "ApplyServerSideEncryptionByDefault": default,
                    "BucketKeyEnabled": rule.get("bucket_key_enabled", False),
                }
            )
        self.client("s3").put_bucket_encryption(Bucket=i["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})
        return i["bucket"], {}

    def s3_bucket_versioning(self, i: Inputs) -> Made:
        status = i["versioning_configuration"]["status"]
        self.client("s3").put_bucket_versioning(Bucket=i["bucket"], VersioningConfiguration={"Status": status})
        return i["bucket"], {}

    def s3_bucket_lifecycle_configuration(self, i: Inputs) -> Made:
        rules = [{("ID" if k == "id" else pascal(k)): _pascal_deep(v) for k, v in rule.items()} for rule in i["rules"]]
        self.client("s3").put_bucket_lifecycle_configuration(
            Bucket=i["bucket"], LifecycleConfiguration={"Rules": rules}
        )
        return i["bucket"], {}

    def s3_bucket_policy(self, i: Inputs) -> Made:
        self.client("s3").put_bucket_policy(Bucket=i["bucket"], Policy=i["policy"])
        return i["bucket"], {}


def _pascal_deep(value: Any) -> Any:
    return {pascal(k): _pascal_deep(v) for k, v in value.items()} if isinstance(value, dict) else value
