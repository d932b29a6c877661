"""Resources at Google, which has no emulator here: names are held to Google's rules, the rest is kept for reading."""

import re

from tests.infra.emulation.account import Account, Inputs, Made

RESOURCE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""Names of networks, subnets, firewall rules and repositories (RFC 1035)."""


class Google(Account):
    """Each method makes the resource of its name."""

    def providers_gcp(self, i: Inputs) -> Made:
        self.project = i["project"]
        return "gcp", {}

    def projects_service(self, i: Inputs) -> Made:
        return f"{self.project}/{i['service']}", {}

    def projects_iam_custom_role(self, i: Inputs) -> Made:
        assert re.fullmatch(r"[a-zA-Z0-9_.]{3,64}", i["role_id"]), i["role_id"]
        name = f"projects/{self.project}/roles/{i['role_id']}"
        return name, {"name": name}

    def projects_iam_member(self, i: Inputs) -> Made:
        return f"{i['project']}/{i['role']}/{i['member']}", {}

    def serviceaccount_account(self, i: Inputs) -> Made:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])", i["account_id"]), i["account_id"]
        email = f"{i['account_id']}@{self.project}.iam.gserviceaccount.com"
        return f"projects/{self.project}/serviceAccounts/{email}", {"email": email}

    def storage_bucket(self, i: Inputs) -> Made:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", i["name"]), i["name"]
        return i["name"], {"name": i["name"]}

    def storage_bucket_iam_member(self, i: Inputs) -> Made:
        return f"b/{i['bucket']}/{i['role']}/{i['member']}", {}

    def artifactregistry_repository(self, i: Inputs) -> Made:
        name = i["repository_id"]
        assert RESOURCE.fullmatch(name), name
        return f"projects/{self.project}/locations/{i['location']}/repositories/{name}", {"name": name}

    def artifactregistry_repository_iam_member(self, i: Inputs) -> Made:
        return f"{i['location']}/{i['repository']}/{i['role']}/{i['member']}", {}

    def compute_network(self, i: Inputs) -> Made:
        return self._named(i, "global/networks")

    def compute_subnetwork(self, i: Inputs) -> Made:
        return self._named(i, f"regions/{i['region']}/subnetworks")

    def compute_firewall(self, i: Inputs) -> Made:
        return self._named(i, "global/firewalls")

    def _named(self, i: Inputs, folder: str) -> Made:
        assert RESOURCE.fullmatch(i["name"]), i["name"]
        return f"projects/{self.project}/{folder}/{i['name']}", {"name": i["name"]}
