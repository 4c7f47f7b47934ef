"""The door for staff without a system (相談をつなぐ): a referral by form, and what is half written."""
