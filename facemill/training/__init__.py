"""Training: runs that resume exactly, learners, and the pieces of an optimizer's step."""
