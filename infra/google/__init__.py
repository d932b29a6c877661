"""A stack's resources at Google: bucket, network, identity of machines, image repository."""
