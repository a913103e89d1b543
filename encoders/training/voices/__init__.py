"""Voices to learn from: gathered, spoken and sung, mixed over music; and what is learnt from them."""
