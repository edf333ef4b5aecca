"""Looking at what a network has learned: gate statistics and the pictures of a run."""
