"""A stack's ground at Google: bucket, network, identity of machines, image repository."""
