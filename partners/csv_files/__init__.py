"""CSV in and out (CSV の入出力): what ward offices and providers really have is Excel.

``columns`` says which columns there are, ``decoding``, ``table`` and ``values`` read, ``writing``
writes; they are pure. ``line`` talks with the network, ``posting`` and ``getting`` are the two ways,
``commands`` is the command line.
"""
