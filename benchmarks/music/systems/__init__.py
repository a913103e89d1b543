"""Those who are judged, behind one protocol."""
