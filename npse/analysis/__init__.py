"""What a network has learned: statistics of the gates, and the pictures of a run."""
