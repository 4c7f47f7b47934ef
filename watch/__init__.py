"""The board (見張り): what burns, live in the core centre's terminal (`tsunagu watch`).

No service: a face of the command line that speaks the partner contract, as anybody's program could.
"""
