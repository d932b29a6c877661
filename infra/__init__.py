"""The cloud resources that runs need (the ground): storage, network, access, image registry, alarms."""
