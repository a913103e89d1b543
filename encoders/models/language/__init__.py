"""In which language somebody sings or speaks, by ear and by what is written of a track."""
