"""The account of a dataset's mix in words, for logs, pages and cards."""

from collections.abc import Mapping
from typing import Any


def mix_lines(accounts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each domain on what its mix is of, for people."""
    return [f"mix of {name}: {mix_words(account)}" for name, account in accounts.items()]


def mix_words(account: Mapping[str, Any]) -> str:
    """The account of one domain's mix in words."""
    words = [
        f"{account['drawn']:,} of {account['training']:,} training examples "
        f"({account['clusters_drawn']:,} of {account['clusters']:,} clusters)",
        f"effective sample size {account['effective']:,.0f} ({account['effective_clusters']:,.0f} clusters)",
    ]
    if "mean_age_days" in account:
        before, after = account["mean_age_days"]
        words.append(f"mean age {before:,.0f} days -> {after:,.0f}")
    for name, strata in account["shares"].items():
        listed = ", ".join(f"{value} {before:.1%} -> {after:.1%}" for value, (before, after) in strata.items())
        words.append(f"{name} {listed}")
    return "; ".join(words)


def mix_facts(description: Mapping[str, Any], name: str) -> dict[str, str]:
    """The mix of one domain as a fact of the data, from the description of a dataset; {} without one."""
    account = description.get("mixing", {}).get(name)
    return {"Mix that the model learned from": mix_words(account)} if account else {}
