"""Attachments (添付): a file that goes with a referral.

The way of one: received chunk by chunk and sealed on the way (``receiving``, ``sealed_file``), judged by
its content (``content``), noted and stored (``records``, ``store``), then put on the record by a command
like any other (``keeper``). What nobody has put on record is swept; what a scanner has not passed is not
handed out (``tending``).
"""
