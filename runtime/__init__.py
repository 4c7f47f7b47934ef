"""How anything runs: broker, database, journal, clock, processes. No word of the field in here."""
