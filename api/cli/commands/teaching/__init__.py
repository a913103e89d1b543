"""How our weights are made: `soundalike train`."""
