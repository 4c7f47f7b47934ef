"""HL7 FHIR R4 at the edge (FHIR の窓口): others' model in, others' model out; inside, our own stays.

The mapping is pure: ``reading`` makes one of our submissions of what came, ``telling`` makes
``ServiceRequest`` and ``Task`` of a referral, ``answering`` makes one of our calls of a changed
``Task``. What maps to what is data, in ``tables``. Only ``handlers`` speaks HTTP, and only ``models``
knows ``fhir.resources``.
"""
