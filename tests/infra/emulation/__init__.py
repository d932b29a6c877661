"""AWS in this process: what the program declares is made with moto, and calls are decided as AWS decides them."""
