"""Images, money, and the order of the whole house."""

import json
from collections.abc import Iterator

from tests.infra.world import World


def images_are_fixed_and_scanned(world: World) -> None:
    ecr = world.client("ecr")
    found = {repository["repositoryName"]: repository for repository in world.repositories()}
    assert set(found) == {world.names.repository(image) for image in world.config.images}
    for name, repository in found.items():
        assert repository["imageTagMutability"] == "IMMUTABLE", name
        assert repository["imageScanningConfiguration"]["scanOnPush"], name
        rules = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"]
        assert {rule["selection"]["tagStatus"] for rule in rules} == {"untagged", "any"}, name
        assert max(rule["selection"]["countNumber"] for rule in rules) >= 10, "images in use must not go"


def spend_sounds_an_alarm(world: World) -> None:
    budgets, account = world.client("budgets"), world.names.account
    (budget,) = budgets.describe_budgets(AccountId=account)["Budgets"]
    assert (budget["TimeUnit"], budget["BudgetType"]) == ("MONTHLY", "COST")
    assert float(budget["BudgetLimit"]["Amount"]) == world.config.monthly_budget_usd
    assert not budget.get("CostFilters"), "a filter on a tag that billing does not know never sounds"
    told = budgets.describe_notifications_for_budget(AccountId=account, BudgetName=budget["BudgetName"])
    thresholds = {(found["NotificationType"], found["Threshold"]) for found in told["Notifications"]}
    assert {("ACTUAL", 80.0), ("ACTUAL", 100.0), ("FORECASTED", 100.0)} <= thresholds
    (declared,) = world.of_type("Budget")
    for notification in declared.inputs["notifications"]:
        assert notification["subscriber_email_addresses"] == list(world.config.alert_emails)
        assert notification["comparison_operator"] == "GREATER_THAN"


def everything_is_tagged(world: World) -> None:
    ours = set(world.names.tags.items())
    for what, tags in _tagged(world):
        assert ours <= tags, (what, ours - tags)


def everything_is_in_the_named_account(world: World) -> None:
    (provider,) = [found for found in world.declared if found.type == "pulumi:providers:aws"]
    assert json.loads(provider.inputs["allowed_account_ids"]) == [world.names.account]
    for resource in world.declared:
        if resource.type.startswith("aws:"):
            assert "pulumi:providers:aws::aws::" in resource.provider, resource


def data_outlives_the_stack(world: World) -> None:
    kept = {
        (resource.type, resource.name) for resource in world.declared if world.protected[resource.type, resource.name]
    }
    kinds = {kind.rpartition(":")[2] for kind, _ in kept}
    assert {"Bucket", "Key", "Repository"} <= kinds
    assert not kinds & {"Vpc", "Subnet", "SecurityGroup", "Role", "Budget"}, "only what holds data is kept"
    for kind in ("Bucket", "Key", "Repository"):
        for resource in world.of_type(kind):
            assert (resource.type, resource.name) in kept, resource.name
            assert not resource.inputs.get("force_destroy") and not resource.inputs.get("force_delete")
    for resource in world.of_type("Key"):
        assert resource.inputs["deletion_window_in_days"] == 30, resource.name


def outputs_name_what_is_there(world: World) -> None:
    outputs = world.outputs
    world.client("s3").head_bucket(Bucket=outputs.artifacts_bucket)
    world.client("s3").head_bucket(Bucket=outputs.data_bucket)
    assert set(outputs.repositories.values()) == {found["repositoryUri"] for found in world.repositories()}
    assert set(outputs.repositories) == set(world.config.images)
    assert outputs.security_group_name in {group["GroupName"] for group in world.in_vpc("security_groups")}
    assert (outputs.stack, outputs.region) == (world.names.stack, world.names.region)


def _tagged(world: World) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    def pairs(tags: list[dict[str, str]], key: str = "Key", value: str = "Value") -> set[tuple[str, str]]:
        return {(tag[key], tag[value]) for tag in tags}

    for bucket in (world.artifacts, world.data):
        yield bucket, pairs(world.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"])
    yield "key", pairs(world.client("kms").list_resource_tags(KeyId=world.key)["Tags"], "TagKey", "TagValue")
    yield "vpc", pairs(world.vpc()["Tags"])
    for kind in ("subnets", "security_groups", "vpc_endpoints"):
        for found in world.in_vpc(kind):
            yield kind, pairs(found.get("Tags", []))
    role = world.client("iam").get_role(RoleName=world.names.worker)["Role"]
    yield "role", pairs(role.get("Tags", []))
    for repository in world.repositories():
        arn = repository["repositoryArn"]
        yield arn, pairs(world.client("ecr").list_tags_for_resource(resourceArn=arn)["tags"])
