"""The runtime interface client, with the modules and entry points of AWS's own, which libraries import and patch.

_shardmill beside them holds what AWS's has no need of.
"""

__version__ = "4.2.2"  # of AWS's client, whose behaviour this one has
