"""Alarm by mail when the account's spending approaches a limit."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

ACTUAL_PERCENT = (50, 80, 100)
FORECAST_PERCENT = 100


class BudgetAlarm(pulumi.ComponentResource):
    """Mail when the account's spending in a month passes shares of a limit, or AWS forecasts that it will reach it.

    The whole account counts: a budget filtered by tag reads zero until somebody activates the tag for billing, and an
    alarm that counts too much is better than one that stays silent.
    """

    def __init__(
        self,
        name: str,
        *,
        budget_name: str,
        limit_usd: int,
        emails: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:BudgetAlarm", name, None, opts)

        def notification(kind: str, percent: int) -> aws.budgets.BudgetNotificationArgs:
            return aws.budgets.BudgetNotificationArgs(
                notification_type=kind,
                comparison_operator="GREATER_THAN",
                threshold=percent,
                threshold_type="PERCENTAGE",
                subscriber_email_addresses=list(emails),
            )

        aws.budgets.Budget(
            name,
            name=budget_name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(limit_usd),
            limit_unit="USD",
            notifications=[
                *(notification("ACTUAL", percent) for percent in ACTUAL_PERCENT),
                notification("FORECASTED", FORECAST_PERCENT),
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
