"""Stage `studio`: a local page on which masks are painted and portraits follow; photos become labels there."""
