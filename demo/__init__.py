"""A day and a night of referrals, played for whoever wants to see them (`tsunagu demo`).

No service: a face of the command line, which starts a network and speaks to it as partners do.
"""
