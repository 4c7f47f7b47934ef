"""`tsunagu conformance`: does a partner's own webhook endpoint do what the contract asks? (適合試験)"""
