"""`tsunagu partner`: a partner agency to play with (相手役). It speaks only through the partner contract."""
