"""Sound in, numbers out: decoding, segmentation and the encoders.

``media → segments → encoder`` is the path of one file: decoded to mono waveforms, cut into windows, encoded.
Importing this package imports nothing else: :mod:`encoders.media.decode` runs in small child processes without torch.
"""
