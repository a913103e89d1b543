"""Voices to train and judge vocal activity and language with: spoken ones made to sing, and mixed over music."""
