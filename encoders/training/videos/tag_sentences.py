"""What each tag of music feels like and where it plays, told so that a sentence encoder knows what is meant.

A bare tag misleads: "rock" is near rock crabs and cliffs, "metal" near chains, "soul" near churches, "house" near
homes, "country" near nations and maps, "folk" near people, "blues" near everything blue, "beat" near fights, "harp"
near harpoons. So no tag is told by its name where that is also a word for something else: its sentences say what one
does, feels and sees where such music plays, in the words in which scenes are told. Instruments, which are seen as they
are heard, are told by their names. All of it is common sense of music, written by hand.
"""

from __future__ import annotations

TAG_SENTENCES: dict[str, tuple[str, ...]] = {
    "rock": ("a band plays electric guitars and drums on a stage before a crowd", "driving, rebellious energy"),
    "alternative rock": ("a band plays distorted electric guitars in a garage", "restless young people, raw and moody"),
    "indie rock": ("a young band plays guitars in a small club", "friends on a road trip, bittersweet youth"),
    "classic rock": (
        "electric guitars of the seventies on a motorcycle ride",
        "driving down the open highway",
    ),
    "hard rock": ("a loud band with heavy electric guitars", "roaring engines, power, adrenaline and action"),
    "progressive rock": ("a long and winding journey through a fantastic world", "epic and majestic electric guitars"),
    "metal": ("a brutal and aggressive band with screaming guitars", "war, fire, rage and destruction"),
    "heavy metal": ("warriors ride into battle with roaring guitars", "dark and powerful, iron and fire"),
    "punk": ("angry young people shout against everything", "fast, rough and wild on the streets"),
    "pop": ("a catchy song that everybody sings along with", "beauty, style, love and good mood"),
    "indie pop": ("a charming and light song of a young band", "playful summer days with friends in the garden"),
    "alternative": ("young people in a grey suburb", "raw, moody and restless"),
    "indie": ("dreamy young people, bittersweet and simple", "memories of youth on a quiet road"),
    "electronic": ("music made by computers and machines", "modern technology, a futuristic world"),
    "electro": ("robotic rhythms of computers and video games", "cool lights of the city at night"),
    "house": ("people dance in a night club until the morning", "a party by the beach in summer"),
    "dance": ("people dance at a party", "a night club with lights, energy and joy"),
    "party": ("a wild party with friends, laughing and drinking", "celebration, fun and dancing"),
    "hip hop": ("rappers on the streets of the city, cool and rhythmic", "sneakers, graffiti and big cars"),
    "r&b": ("smooth and sensual singing", "a romantic evening, style and beauty in the city"),
    "soul": ("a gospel singer full of emotion", "a passionate song of love, deep feeling"),
    "funk": ("a groovy dance with a tight rhythm", "cool people with style on the streets, fun"),
    "blues": ("a lonely man plays guitar in a smoky bar", "sorrow, whiskey and a hard life in the South"),
    "jazz": ("a saxophone plays in a smoky bar late at night", "cool and relaxed, cocktails and elegance"),
    "country": ("cowboys, horses and pickup trucks in the American West", "a farm, a barn and wide fields"),
    "folk": ("simple old songs by the fire in a village", "the countryside, woods and earthy life"),
    "acoustic": ("somebody plays a wooden guitar quietly at home", "natural, simple and intimate"),
    "ambient": ("calm and floating, a still landscape", "weightless, vast and mysterious, deep ocean and outer space"),
    "experimental": ("strange and disturbing noises", "a factory, machines, abstract and bizarre"),
    "chillout": ("relaxing on a sunny beach by the sea", "calm summer evening with a drink"),
    "mellow": ("soft and relaxed, a gentle evening", "a cosy room, quiet and warm"),
    "easy listening": ("pleasant music in a restaurant or coffee house", "light, cheerful and easy"),
    "happy": ("happy and cheerful, children laugh and play", "a sunny day, joy and fun"),
    "sad": ("sad and melancholy, sorrow and tears", "alone in the rain, illness and farewell"),
    "instrumental": ("instruments play and nobody sings", "a vast and epic landscape"),
    "female vocals": ("a woman sings a song of love", "a beautiful lady, glamour and tenderness"),
    "male vocals": ("the voice of a man singing", "a strong man sings about his life"),
    "guitar": ("somebody plays the guitar", "an acoustic or electric guitar"),
    "techno": ("hard and hypnotic machine rhythms", "a rave in a factory at night, flashing lights"),
    "new age": ("meditation, healing and inner peace", "a silent temple garden, calm nature, spiritual"),
    "classical": ("an orchestra plays a symphony in a concert hall", "noble people in a royal palace"),
    "opera": ("an opera singer on the stage of a theatre", "a dramatic tragedy in splendid costumes"),
    "indian": ("an Indian temple, incense and silk", "a ceremony in India"),
    "vocals": ("a singer with a microphone", "voices in harmony"),
    "choir": ("a choir sings in a church", "a solemn and sacred prayer"),
    "piano": ("somebody plays the piano", "a romantic and thoughtful evening alone"),
    "harpsichord": ("a harpsichord in a baroque palace", "an elegant ball of the eighteenth century"),
    "strings": ("an orchestra of violins and cellos", "romantic and majestic, deep emotion"),
    "violin": ("somebody plays the violin", "a bride at a wedding, passionate and tender"),
    "cello": ("somebody plays the cello", "deep sorrow and dignity"),
    "harp": ("somebody plays the harp like an angel", "a heavenly dream, soft and tender"),
    "flute": ("somebody plays the flute", "birds sing in the trees, a gentle morning in the woods"),
    "sitar": ("somebody plays the sitar in India", "incense and meditation in an Indian temple"),
    "synth": ("a synthesizer hums in a science fiction film", "outer space, computers and neon lights"),
    "drums": ("somebody plays the drums", "tribal drums in Africa, wild animals, hooves"),
    "beat": ("a strong groove and rhythm", "cool young people hang out on city streets"),
    "solo": ("one musician plays alone", "lonely and still, alone in a room"),
    "slow": ("calm and unhurried, heavy and tired", "time stands still"),
    "fast": ("very fast, speed and hurry", "a race with roaring engines"),
    "loud": ("very loud noise", "explosions, roaring engines, a cheering stadium"),
    "quiet": ("very quiet, silence", "a quiet library, a sleeping baby"),
    "soft": ("soft and tender, gentle", "a lullaby for a baby, a soft cat, flowers"),
}
"""Tag → its sentences."""

WORD_SENTENCES: dict[str, tuple[str, ...]] = {
    "dark": ("dark, gloomy and sinister", "tense and mysterious shadows"),
    "bright": ("bright, cheerful and light", "a sunny day, joy"),
    "warm": ("warm, tender and intimate", "a warm evening in the sun, relaxed"),
    "cold": ("cold, distant and lonely", "a cold lonely night in empty space"),
    "grey": ("grey, bleak and melancholy", "a rainy day, sad and simple"),
    "colourful": ("colourful, playful and lively", "a celebration, fun and joy"),
    "still": ("motionless, silent and still", "meditation in silence, a still landscape"),
    "calm": ("calm, gentle and relaxed", "quiet and unhurried"),
    "fast": ("fast, energetic and driving", "speed, action and dancing"),
    "frantic": ("frantic, wild and aggressive", "loud chaos, adrenaline and rage"),
}
"""Word for colours, motion and cuts, as :data:`encoders.models.video.words.MOODS` has them → its sentences."""
