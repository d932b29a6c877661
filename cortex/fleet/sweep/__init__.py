"""What a run left standing in the cloud, found through the cloud itself and given back."""
