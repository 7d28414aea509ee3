"""Output that may leave: secrets redacted in every encoding, invisible characters removed, size bounded. No I/O, no
policy.
"""
