"""Pairs of video and music, and what is learnt from them."""
