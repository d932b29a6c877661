"""Checks of a stack that is up. Each check asks the emulated cloud, and fails on a planted mistake."""

from collections.abc import Callable

from tests.infra.checks import access, estate, google, network, server, storage
from tests.infra.world import World

Check = Callable[[World], None]

CHECKS: tuple[Check, ...] = (
    storage.buckets_are_private,
    storage.buckets_keep_versions,
    storage.objects_are_encrypted_under_our_key,
    storage.key_is_ours_and_rotates,
    storage.other_encryption_is_refused,
    storage.plain_http_is_refused,
    storage.what_decides_a_run_is_written_once_and_stays,
    storage.checkpoints_go_and_releases_stay,
    storage.nothing_but_checkpoints_is_tagged,
    storage.old_versions_of_data_go,
    storage.unfinished_uploads_go,
    access.worker_can_work,
    access.worker_is_confined,
    access.a_run_reaches_its_own_folder_alone,
    access.a_run_writes_the_copy_of_its_own_base_alone,
    access.other_machines_read_and_write_no_run,
    access.a_role_that_is_no_runs_reaches_no_run,
    access.only_machines_take_the_role,
    access.policies_are_sound,
    network.machines_reach_out_of_every_zone,
    network.nothing_comes_in_but_what_is_named,
    network.s3_is_reached_for_free,
    network.writes_stay_in_the_account,
    network.skypilot_finds_its_way,
    server.server_has_no_open_door,
    server.server_comes_from_an_address_that_stays,
    server.server_keeps_its_disk_and_role_to_itself,
    server.server_can_do_what_skypilot_asks,
    server.server_is_confined,
    server.server_ends_runs_and_spoils_none,
    server.server_sets_itself_up_from_what_is_in_the_bucket,
    server.server_is_configured_as_skypilot_wants,
    google.google_bucket_is_private_and_swept,
    google.google_account_reaches_its_bucket_and_images_alone,
    google.skypilot_gives_the_google_account_nothing_more,
    google.google_lets_nothing_in_but_what_is_named,
    google.google_machines_reach_their_bucket_from_every_region,
    google.skypilot_finds_its_way_at_google,
    google.google_images_stay_as_they_are,
    google.google_is_the_named_project,
    google.googles_services_are_on_before_they_are_asked,
    estate.images_are_fixed_and_scanned,
    estate.spend_sounds_an_alarm,
    estate.everything_is_tagged,
    estate.everything_is_in_the_named_account,
    estate.data_outlives_the_stack,
    estate.outputs_name_what_is_there,
)
