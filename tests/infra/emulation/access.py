"""Roles, image repositories and budgets."""

from tests.infra.emulation.account import Account, Inputs, Made, tags


class Access(Account):
    """Each method makes the resource of its name."""

    def iam_role(self, i: Inputs) -> Made:
        made = self.client("iam").create_role(
            RoleName=i["name"],
            AssumeRolePolicyDocument=i["assume_role_policy"],
            Description=i["description"],
            Tags=tags(i),
        )
        return i["name"], {"arn": made["Role"]["Arn"], "name": i["name"]}

    def iam_policy(self, i: Inputs) -> Made:
        made = self.client("iam").create_policy(
            PolicyName=i["name"], PolicyDocument=i["policy"], Description=i["description"], Tags=tags(i)
        )
        return i["name"], {"arn": made["Policy"]["Arn"], "name": i["name"]}

    def iam_role_policy(self, i: Inputs) -> Made:
        self.client("iam").put_role_policy(RoleName=i["role"], PolicyName=i["name"], PolicyDocument=i["policy"])
        return f"{i['role']}:{i['name']}", {"name": i["name"]}

    def iam_role_policies_exclusive(self, i: Inputs) -> Made:
        iam = self.client("iam")
        for policy in set(iam.list_role_policies(RoleName=i["role_name"])["PolicyNames"]) - set(i["policy_names"]):
            iam.delete_role_policy(RoleName=i["role_name"], PolicyName=policy)
        return i["role_name"], {}

    def iam_role_policy_attachments_exclusive(self, i: Inputs) -> Made:
        iam = self.client("iam")
        for policy in iam.list_attached_role_policies(RoleName=i["role_name"])["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=i["role_name"], PolicyArn=policy["PolicyArn"])
        for arn in i["policy_arns"]:
            iam.attach_role_policy(RoleName=i["role_name"], PolicyArn=arn)
        return i["role_name"], {}

    def iam_instance_profile(self, i: Inputs) -> Made:
        iam = self.client("iam")
        iam.create_instance_profile(InstanceProfileName=i["name"], Tags=tags(i))
        iam.add_role_to_instance_profile(InstanceProfileName=i["name"], RoleName=i["role"])
        return i["name"], {"name": i["name"]}

    def ecr_repository(self, i: Inputs) -> Made:
        made = self.client("ecr").create_repository(
            repositoryName=i["name"],
            imageTagMutability=i.get("image_tag_mutability", "MUTABLE"),
            imageScanningConfiguration={
                "scanOnPush": i.get("image_scanning_configuration", {}).get("scan_on_push", False)
            },
            tags=tags(i),
        )["repository"]
        return i["name"], {"arn": made["repositoryArn"], "repositoryUrl": made["repositoryUri"]}

    def ecr_lifecycle_policy(self, i: Inputs) -> Made:
        self.client("ecr").put_lifecycle_policy(repositoryName=i["repository"], lifecyclePolicyText=i["policy"])
        return i["repository"], {}

    def budgets_budget(self, i: Inputs) -> Made:
        notifications = [
            {
                "Notification": {
                    "NotificationType": told["notification_type"],
                    "ComparisonOperator": told["comparison_operator"],
                    "Threshold": told["threshold"],
                    "ThresholdType": told["threshold_type"],
                },
                "Subscribers": [
                    {"SubscriptionType": "EMAIL", "Address": mail} for mail in told["subscriber_email_addresses"]
                ],
            }
            for told in i.get("notifications", [])
        ]
        self.client("budgets").create_budget(
            AccountId=self.account,
            Budget={
                "BudgetName": i["name"],
                "BudgetType": i["budget_type"],
                "TimeUnit": i["time_unit"],
                "BudgetLimit": {"Amount": i["limit_amount"], "Unit": i["limit_unit"]},
                **({"CostFilters": {}} if "cost_filters" not in i else {}),
            },
            NotificationsWithSubscribers=notifications,
        )
        return f"{self.account}:{i['name']}", {}
