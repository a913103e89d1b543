"""Networks whose output is a space: a waveform window in, an embedding out."""
