"""The inbox (受信箱): offers that wait for an answer, what an agency holds, and what came for it."""
