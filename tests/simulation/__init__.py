"""A year in a minute: the pure core through a year of a ward, under a clock that nobody waits for.

``scenario`` draws what a year brings, ``people`` what agencies make of it, ``decider`` decides without
a database, ``world`` lets time pass, ``checks`` looks on at every step, ``shrinking`` makes a year that
fails short. The same seed is the same year.
"""
