"""Mistakes about the resources at Google."""

from tests.infra.checks import estate, google
from tests.infra.emulation.engine import Declared
from tests.infra.mistakes.edits import Edit, forget, put
from tests.infra.mistakes.mistake import Mistake


def _add_permission(name: str) -> Edit:
    return lambda resource: resource.inputs["permissions"].append(name)


def _lose_permission(resource: Declared) -> None:
    resource.inputs["permissions"].remove("compute.instances.delete")


def _delete_by_age(resource: Declared) -> None:
    resource.inputs["lifecycle_rules"][1]["condition"] = {"age": 14}


def _without_sweep(resource: Declared) -> None:
    resource.inputs["lifecycle_rules"].pop()


MISTAKES = (
    Mistake(
        "a bucket at Google that may be public",
        "Bucket",
        put(public_access_prevention="inherited"),
        google.google_bucket_is_private_and_swept,
        "gcp-artifacts",
    ),
    Mistake(
        "rights by object at Google",
        "Bucket",
        put(uniform_bucket_level_access=False),
        google.google_bucket_is_private_and_swept,
        "gcp-artifacts",
    ),
    Mistake(
        "releases at Google go by their age",
        "Bucket",
        _delete_by_age,
        google.google_bucket_is_private_and_swept,
        "gcp-artifacts",
    ),
    Mistake(
        "pruned checkpoints at Google stay for ever",
        "Bucket",
        _without_sweep,
        google.google_bucket_is_private_and_swept,
        "gcp-artifacts",
    ),
    Mistake(
        "a bucket at Google emptied on the way down",
        "Bucket",
        put(force_destroy=True),
        estate.data_outlives_the_stack,
        "gcp-artifacts",
    ),
    Mistake(
        "a bucket at Google for everybody",
        "BucketIAMMember",
        put(member="allUsers"),
        google.google_account_reaches_its_bucket_and_images_alone,
    ),
    Mistake(
        "machines at Google own their bucket",
        "BucketIAMMember",
        put(role="roles/storage.admin"),
        google.google_account_reaches_its_bucket_and_images_alone,
    ),
    Mistake(
        "machines at Google reach every bucket",
        "IAMMember",
        put(role="roles/storage.admin"),
        google.google_account_reaches_its_bucket_and_images_alone,
    ),
    Mistake(
        "machines at Google push images",
        "RepositoryIamMember",
        put(role="roles/artifactregistry.writer"),
        google.google_account_reaches_its_bucket_and_images_alone,
    ),
    Mistake(
        "machines at Google act as any account",
        "IAMCustomRole",
        _add_permission("iam.serviceAccounts.actAs"),
        google.skypilot_gives_the_google_account_nothing_more,
    ),
    Mistake(
        "machines at Google cannot end themselves",
        "IAMCustomRole",
        _lose_permission,
        google.skypilot_gives_the_google_account_nothing_more,
    ),
    Mistake(
        "SkyPilot makes an account of its own",
        "Account",
        put(account_id="cortex-worker"),
        google.skypilot_gives_the_google_account_nothing_more,
    ),
    Mistake(
        "a role that nobody has",
        "IAMMember",
        forget,
        google.skypilot_gives_the_google_account_nothing_more,
    ),
    Mistake(
        "SSH at Google from anywhere",
        "Firewall",
        put(source_ranges=["0.0.0.0/0"]),
        google.google_lets_nothing_in_but_what_is_named,
        "gcp-network-ssh-server",
    ),
    Mistake(
        "anything at Google from anywhere",
        "Firewall",
        put(source_ranges=["0.0.0.0/0"]),
        google.google_lets_nothing_in_but_what_is_named,
        "gcp-network-among-themselves",
    ),
    Mistake(
        "services at Google for everybody",
        "Firewall",
        put(source_ranges=["0.0.0.0/0"]),
        google.google_lets_nothing_in_but_what_is_named,
        "gcp-network-services",
    ),
    Mistake(
        "the server kept out at Google",
        "Firewall",
        forget,
        google.google_lets_nothing_in_but_what_is_named,
        "gcp-network-ssh-server",
    ),
    Mistake(
        "a subnet in every region of the world",
        "Network",
        put(auto_create_subnetworks=True),
        google.google_lets_nothing_in_but_what_is_named,
    ),
    Mistake(
        "the bucket at Google by way of the internet",
        "Subnetwork",
        put(private_ip_google_access=False),
        google.google_machines_reach_their_bucket_from_every_region,
    ),
    Mistake(
        "two subnets of the same addresses",
        "Subnetwork",
        put(ip_cidr_range="10.60.0.0/20"),
        google.google_machines_reach_their_bucket_from_every_region,
    ),
    Mistake(
        "a subnet in another network",
        "Subnetwork",
        put(network="projects/cortex-lab/global/networks/default"),
        google.skypilot_finds_its_way_at_google,
    ),
    Mistake(
        "tags that move at Google",
        "Repository",
        put(docker_config={"immutable_tags": False}),
        google.google_images_stay_as_they_are,
        "gcp-images",
    ),
    Mistake(
        "a service of Google's that is off",
        "Service",
        forget,
        google.googles_services_are_on_before_they_are_asked,
        "gcp-compute",
    ),
    Mistake("another project", "gcp", put(project="somebody-elses"), google.google_is_the_named_project),
)
