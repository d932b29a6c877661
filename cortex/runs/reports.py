"""The reports of a run: one for each domain that it learns."""

from cortex.domains.domain import Domain


def report_folders(domain: Domain) -> dict[str, str]:
    """The folder of each domain's report within an artifact, by the domain's name; empty for a single domain."""
    return {name: "" if part is domain else f"{name}/" for name, part in domain.parts().items()}
