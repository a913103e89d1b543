"""In which scenes ImageNet's classes are met, each told in a sentence that says what it feels like.

A class is mostly an animal or a thing, and its name says nothing of music, or something wrong: "rock crab" is no rock,
"chain mail" no heavy metal. What a picture asks for is in the scene that the thing stands for. Which scene that is,
and how it is told, was written by hand from what the words mean; no video was looked at. A class may be in several
scenes, and one in none is told by its name alone, with less weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCENES: dict[str, str] = {
    "waves on a sunny beach, summer holidays, happy and relaxed": (
        "seashore, sandbar, breakwater, bikini, maillot, maillot tank suit, swimming trunks, sunscreen, sunglasses, "
        "sunglass, sarong, snorkel, beach wagon, promontory, bathing cap, sandal"
    ),
    "fish glide slowly through the deep blue ocean, mysterious and weightless": (
        "0-6, 107-117, 327-329, 389-397, coral reef, scuba diver, submarine, bubble, sea snake, sea lion, "
        "loggerhead, leatherback turtle, 147-149"
    ),
    "a sailing boat glides over the wide sea": (
        "yawl, schooner, catamaran, trimaran, canoe, paddle, liner, container ship, pirate, wreck, lifeboat, fireboat, "
        "dock, boathouse, pier, beacon, albatross"
    ),
    "a quiet lake in a peaceful valley, a still landscape, calm nature": (
        "lakeside, valley, dam, boathouse, 97-100, 127-146, stone wall, thatch, canoe, park bench, hay"
    ),
    "majestic mountains and cliffs, a vast and epic view": (
        "alp, cliff, volcano, geyser, promontory, mountain tent, suspension bridge, viaduct, steel arch bridge, ibex, "
        "bighorn, bald eagle, valley"
    ),
    "songbirds in the trees on a gentle morning": "10-20, 80-96, birdhouse",
    "flowers, bees and butterflies in a sunny garden, light and gentle": (
        "daisy, yellow lady's slipper, rapeseed, bee, 319-326, ladybug, hummingbird, greenhouse, pot, vase, honeycomb, "
        "apiary, picket fence, sundial, strawberry"
    ),
    "something sinister creeps in the dark, frightening and tense": (
        "52-79, jack-o'-lantern, mask, gasmask, guillotine, prison, vulture, great grey owl, cleaver, spider web, "
        "hatchet, ski mask, cockroach"
    ),
    "wild animals on the African plains, drums and the beat of hooves": (
        "286-293, 340-344, 351-353, 345-347, African elephant, tusker, ostrich, African hunting dog, hyena, warthog, "
        "meerkat, baboon, gorilla, African crocodile"
    ),
    "cheeky monkeys climb through the jungle": "365-384, macaw, toucan, African grey, lorikeet, banana",
    "a happy dog runs across the meadow with its family": "151-268, tennis ball, doormat",
    "a soft cat sleeps at home, quiet and cosy": (
        "281-285, studio couch, pillow, quilt, rocking chair, wool, cardigan, hamster, Angora, guinea pig, "
        "wood rabbit, fire screen, velvet"
    ),
    "a farm in the countryside, fields, horses and a barn": (
        "barn, tractor, thresher, harvester, plow, hay, corn, ox, ram, hog, hen, cock, sorrel, oxcart, horse cart, "
        "worm fence, milk can, pickup, jean, apiary, lumbermill"
    ),
    "a cowboy rides through the prairie of the American West": (
        "cowboy hat, cowboy boot, sorrel, bolo tie, holster, revolver, worm fence, banjo, harmonica, coyote, bison"
    ),
    "a choir sings a solemn prayer in a church": (
        "church, altar, monastery, bell cote, vestment, dome, vault, organ, candle, cloak"
    ),
    "noble people in a royal palace, an elegant ball of the eighteenth century": (
        "palace, castle, throne, triumphal arch, hoopskirt, gown, fountain, four-poster, wig, goblet, overskirt, "
        "china cabinet, pedestal, quill, wardrobe, chiffonier"
    ),
    "knights in armour ride into a heroic battle": (
        "cuirass, breastplate, chain mail, shield, scabbard, castle, cannon, bearskin, pickelhaube, bow"
    ),
    "soldiers, tanks and guns, a loud and violent war": (
        "tank, assault rifle, rifle, warplane, missile, projectile, military uniform, half track, aircraft carrier, "
        "bulletproof vest, revolver, cannon, amphibian"
    ),
    "a fast car race with roaring engines, speed, energy and action": (
        "racer, sports car, go-kart, speedboat, crash helmet, snowmobile, disk brake, car wheel, motor scooter, moped, "
        "bobsled, stopwatch"
    ),
    "driving down the open highway on a road trip, freedom": (
        "convertible, minivan, jeep, pickup, recreational vehicle, trailer truck, car mirror, odometer, mobile home, "
        "seat belt, gas pump, beach wagon, Model T, sports car"
    ),
    "the lights and traffic of a big city at night": (
        "cab, streetcar, trolleybus, traffic light, street sign, parking meter, limousine, police van, bullet train, "
        "turnstile, cash machine, minibus, electric locomotive, pay-phone"
    ),
    "young people hang out on the streets of the city, cool and rhythmic": (
        "chainlink fence, basketball, running shoe, sweatshirt, jersey, limousine, manhole cover, jean, miniskirt"
    ),
    "heavy machines in a factory, iron, noise and power": (
        "crane, forklift, drilling platform, chain saw, power drill, lumbermill, oil filter, garbage truck, snowplow, "
        "tow truck, hammer, coil, steel drum, chain, radiator, freight car"
    ),
    "outer space, stars and rockets, a futuristic world": (
        "space shuttle, planetarium, radio telescope, solar dish, oscilloscope, airship, digital clock"
    ),
    "people work with computers and modern technology": (
        "desk, laptop, desktop computer, computer keyboard, mouse, monitor, notebook, printer, web site, modem, "
        "hard disc, cellular telephone, hand-held computer, space bar, screen, photocopier, switch, digital watch"
    ),
    "playing a colourful video game": "joystick, slot, comic book, remote control, hand-held computer, jigsaw puzzle",
    "a rock band plays electric guitars on a stage before a cheering crowd": (
        "stage, electric guitar, drum, microphone, loudspeaker, pick, spotlight, drumstick"
    ),
    "people dance at a wild party in a night club": (
        "spotlight, loudspeaker, cocktail shaker, feather boa, beer glass, beer bottle, miniskirt, maraca, CD player"
    ),
    "a smoky bar late at night, cool and relaxed": (
        "sax, whiskey jug, pool table, tobacco shop, cornet, trombone, beer glass, bow tie, cocktail shaker"
    ),
    "a romantic dinner by candlelight in an elegant restaurant": (
        "red wine, wine bottle, goblet, restaurant, dining table, candle, menu, suit, table lamp, plate"
    ),
    "a relaxed morning in a cosy coffee house": (
        "espresso, coffee mug, espresso maker, cup, coffeepot, bakery, bagel, teapot, bookshop, pretzel, French loaf"
    ),
    "cooking and eating good food with friends, cheerful and easy": (
        "924-945, 948-957, 959-965, stove, frying pan, wok, hot pot, rotisserie, grocery store, butcher shop, ladle, "
        "mixing bowl, spatula, Dutch oven, soup bowl, wooden spoon, patio"
    ),
    "children play with toys and laugh": (
        "teddy, carousel, toyshop, piggy bank, tricycle, swing, pinwheel, balloon, ice lolly, ice cream, "
        "jigsaw puzzle, school bus, maypole, confectionery, unicycle, lesser panda, giant panda"
    ),
    "a lullaby for a sleeping baby, soft and tender": "cradle, crib, bassinet, bib, diaper, nipple, pajama",
    "athletes compete in a stadium, energy and victory": (
        "soccer ball, rugby ball, football helmet, baseball, ballplayer, basketball, volleyball, tennis ball, racket, "
        "scoreboard, dumbbell, barbell, punching bag, ski, mountain bike, running shoe, horizontal bar, puck, "
        "parallel bars, balance beam, knee pad, whistle"
    ),
    "a cold white winter landscape, snow and ice, lonely and still": (
        "dogsled, snowplow, mitten, ice bear, king penguin, Arctic fox, white wolf, timber wolf, ptarmigan, "
        "Siberian husky, malamute, ski mask, fur coat, alp"
    ),
    "bride and groom at their wedding, love and joy": "groom, gown, bow tie, altar, Windsor tie, necklace",
    "an Indian temple, incense and silk": "stupa, peacock, Indian elephant, sarong, Indian cobra, prayer rug, mosque",
    "meditation in a silent Japanese garden": "kimono, shoji, tray, goldfish, gong, chime",
    "a slow journey through the countryside on an old steam train": (
        "steam locomotive, freight car, passenger car, paddlewheel, suspension bridge"
    ),
    "floating dreamily above the clouds, weightless and free": (
        "airliner, airship, balloon, parachute, wing, kite, bald eagle"
    ),
    "fire, smoke and danger": "torch, volcano, caldron, matchstick, fire engine, lighter, space heater",
    "an emergency, sirens and fear": "ambulance, fire engine, police van, stretcher, lifeboat, gasmask",
    "reading old books alone in a quiet library": (
        "library, bookcase, bookshop, quill, fountain pen, typewriter keyboard, book jacket, crossword puzzle"
    ),
    "mystical ancient ruins": "megalith, cliff dwelling, obelisk, totem pole, stupa, maze, yurt, hourglass",
    "illness and sorrow in a hospital": (
        "stretcher, syringe, stethoscope, oxygen mask, neck brace, crutch, pill bottle, lab coat, medicine chest"
    ),
    "a glamorous fashion show, beauty and style": (
        "lipstick, hair spray, sunglasses, miniskirt, brassiere, necklace, purse, perfume, face powder, wig, gown, "
        "fur coat, shoe shop, hair slide, stole, suit"
    ),
    "the floor of an old forest in autumn, earthy and simple": (
        "947, 988-997, acorn, fox squirrel, badger, porcupine, wild boar, beaver, otter, red fox, brown bear"
    ),
    "old cassettes and radios, memories of former days": (
        "cassette, cassette player, radio, tape player, dial telephone, television, Polaroid camera, projector, "
        "Model T, typewriter keyboard, reel, barbershop, iPod"
    ),
    "a film begins in a dark cinema": "cinema, theater curtain, home theater, projector, reel, tripod, reflex camera",
    "walking alone in the rain, sad and melancholy": "umbrella, rain barrel, trench coat, park bench, window shade",
    "a circus with clowns and acrobats": "unicycle, carousel, accordion, trombone, mask, wig",
    "a Mexican fiesta, dancing in the sun": "sombrero, poncho, maraca, burrito, guacamole, marimba",
    "strange small creatures in the damp woods": "25-32, 35-48, 110, 111, 113, 114, 300-318, axolotl",
}
"""What a scene feels like → the classes that stand for it: names, and ranges of numbers."""

INSTRUMENTS: tuple[str, ...] = (
    *("accordion", "acoustic guitar", "banjo", "bassoon", "cello", "chime", "cornet", "drum", "electric guitar"),
    *("flute", "French horn", "gong", "grand piano", "harmonica", "harp", "maraca", "marimba", "oboe", "ocarina"),
    *("organ", "panpipe", "sax", "steel drum", "trombone", "upright", "violin"),
)
"""Classes that make music themselves, which is what they are then about."""


def scenes_of(names: Sequence[str]) -> list[list[str]]:
    """Scenes of each class, in the order of `names`, the names of all of them.

    Raises
    ------
    ValueError
        Naming what the table calls a class and is none.
    """
    numbers = {name: number for number, name in enumerate(names)}
    scenes: list[list[str]] = [[] for _ in names]
    for scene, listed in SCENES.items():
        for number in dict.fromkeys(_numbers(listed, numbers)):
            scenes[number].append(scene)
    return scenes


def _numbers(listed: str, numbers: dict[str, int]) -> Iterator[int]:
    for entry in listed.split(", "):
        first, _, last = entry.partition("-")
        if first.isdigit():
            yield from range(int(first), int(last or first) + 1)
        elif entry in numbers:
            yield numbers[entry]
        else:
            raise ValueError(f"no class is called {entry!r}")
