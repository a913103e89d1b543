"""Offline recall evaluation against the live index.

`inputs` (`formats` → `splits` where there are interactions → `judgments`) → `ranking` → `measures` → `results` →
`html`; `run` reads as that sentence. `run_comparison` sets two runs side by side, `space` measures one space without
judgments, and `space_comparison` two; `clips` asks for the music of videos. `ann_recall` measures the
index against its exact twin: that is no recommendation recall, and is never mixed with it.
"""
