"""The contract as files: JSON Schema for every message, and AsyncAPI for the bus. Pure: texts in,
documents out; ``services.publish`` writes them.
"""
