"""The ground that runs stand on in the cloud: storage, network, access, images, alarms."""
