"""A wall on launches that fail, and the cloud's word on what each machine of a run costs."""
