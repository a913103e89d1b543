"""Traditional songs, in the public domain: the first lines, one language each."""

SONGS = {
    "en": "Row, row, row your boat\nGently down the stream\nMerrily, merrily, merrily, merrily\nLife is but a dream",
    "fr": "Frère Jacques, frère Jacques\nDormez-vous ? Dormez-vous ?\nSonnez les matines, sonnez les matines\n"
    "Au clair de la lune\nMon ami Pierrot\nPrête-moi ta plume\nPour écrire un mot",
    "de": "Alle Vögel sind schon da\nAlle Vögel, alle\nWelch ein Singen, Musiziern\nPfeifen, Zwitschern, Tirilieren",
    "es": "De colores\nDe colores se visten los campos en la primavera\n"
    "De colores son los pajarillos que vienen de fuera",
    "it": "Va, pensiero, sull'ali dorate\nVa, ti posa sui clivi, sui colli\nOve olezzano tepide e molli\n"
    "L'aure dolci del suolo natal",
    "nl": "Vader Jacob, Vader Jacob\nSlaapt gij nog? Slaapt gij nog?\nAlle klokken luiden, alle klokken luiden",
    "sv": "Broder Jakob, broder Jakob\nSover du? Sover du?\nHör du inte klockan? Hör du inte klockan?",
    "pl": "Panie Janie, panie Janie\nRano wstań, rano wstań\nWszystkie dzwony biją, wszystkie dzwony biją",
    "fi": "Jaakko kulta, Jaakko kulta\nHerää jo, herää jo\nKellojasi soita, kellojasi soita",
    "ru": "Калинка, калинка, калинка моя\n"
    "В саду ягода малинка, малинка моя\nПод сосною, под зелёною\nСпать положите вы меня",
    "ja": "さくら さくら\nのやまも さとも\nみわたす かぎり\nかすみか くもか\nあさひに におう",
    "zh": "好一朵美丽的茉莉花\n芬芳美丽满枝桠\n又香又白人人夸",
    "ko": "아리랑 아리랑 아라리요\n아리랑 고개로 넘어간다\n나를 버리고 가시는 님은\n십리도 못가서 발병난다",
    "tr": "Üsküdar'a gider iken aldı da bir yağmur\n"
    "Kâtibimin setresi uzun, eteği çamur\nKâtip uykudan uyanmış, gözleri mahmur",
    "hu": "Tavaszi szél vizet áraszt\nVirágom, virágom\nMinden madár társat választ\nVirágom, virágom",
    "he": "הבה נגילה, הבה נגילה\nהבה נגילה ונשמחה\nהבה נרננה ונשמחה",
}
