"""What is wrong with a data set before anything is trained on it: measured pair by pair, found over all, one page."""
