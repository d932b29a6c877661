"""The runs whose releases teach a rehearsal by distillation, and which are rehearsed before it."""

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.runs.context import artifact_prefix, list_runs, load_run


def teachers_first(store: Store, profile: Profile) -> list[tuple[str, Profile]]:
    """The unfinished runs that teach this profile's, each with its profile, a teacher's teacher first.

    A run that the bucket does not hold gets the shipped profile of its name.

    Raises:
        ConfigError: there is neither such a run nor such a profile, or a run teaches itself.
    """
    chain: list[tuple[str, Profile]] = []
    while profile.distill and (run := profile.distill.teacher.run):
        if run in (name for name, _ in chain):
            raise ConfigError(f"{profile.distill.teacher.name}: the run would teach itself: name another")
        if find(store, artifact_prefix(run, "release")):
            break
        if run in list_runs(store):
            profile = load_run(store, run)
        elif (PROFILES / f"{run}.yaml").is_file():
            profile = load_profile(run)
        else:
            raise ConfigError(
                f"{profile.distill.teacher.name}: {store.url} holds no run of that id, and jobs/profiles/ has no "
                "profile of that name to rehearse it by: name a finished run"
            )
        chain.append((run, profile))
    return chain[::-1]
