"""Offline recall evaluation against the live index.

`formats` → `splits` (where there are interactions) → `judgments` → `ranking` → `metrics`, `beyond_accuracy` →
`significance` → `report`; `run` reads as that sentence. `comparison` sets two runs side by side, and `ann_recall`
measures the index against its exact twin: that is no recommendation recall, and is never mixed with it.
"""
