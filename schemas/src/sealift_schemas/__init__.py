"""The contract between sealift and unseal: documents, the strict JSON reader, the key grammar.

Nothing here touches the disk or the network, and nothing heavy is imported: unseal starts with it.
"""

__version__ = "0.1.0"
