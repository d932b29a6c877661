"""What a run is: its profile, its place in the bucket, its ledger, its pipeline."""
