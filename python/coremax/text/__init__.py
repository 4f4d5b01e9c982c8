"""Text as counts of hashed n-grams: the features of DSIR."""

from ._text import HASHES as HASHES
from ._text import Hash as Hash
from ._text import ngram_counts

__all__ = ["ngram_counts"]
