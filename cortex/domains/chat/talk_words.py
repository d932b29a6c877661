"""Words and templates of the generated small talk."""

FACTS: dict[str, tuple[str, ...]] = {
    "cat": ("momo", "luna", "felix", "pepper", "simba", "mittens", "oscar", "willow", "ginger", "shadow"),
    "city": ("lisbon", "oslo", "vienna", "prague", "dublin", "athens", "turin", "bergen", "porto", "riga"),
    "job": ("baker", "nurse", "pilot", "tailor", "welder", "farmer", "dentist", "florist", "printer", "barber"),
    "drink": ("cocoa", "cider", "mocha", "mead", "espresso", "lemonade", "kefir", "chai", "punch", "soda"),
}
"""The values of each kind of fact; no value is of two kinds."""

TELLS: dict[str, tuple[str, ...]] = {
    "cat": ("my cat is called {}", "i have a cat named {}", "we called our cat {}"),
    "city": ("i live in {}", "my home is in {}", "i moved to {} last year"),
    "job": ("i work as a {}", "my job is {}", "i am a {} by trade"),
    "drink": ("i love {}", "my favourite drink is {}", "every evening i have some {}"),
}
ASKS: dict[str, tuple[str, ...]] = {
    "cat": ("what is my cat called?", "do you recall the name of my cat?"),
    "city": ("where do i live?", "which city is my home?"),
    "job": ("what is my job?", "what do i do for a living?"),
    "drink": ("what do i like to drink?", "which drink is my favourite?"),
}
ANSWERS: dict[str, tuple[str, ...]] = {
    "cat": ("your cat is called {}.", "that is {}, your cat."),
    "city": ("you live in {}.", "your home is in {}."),
    "job": ("you are a {}.", "you work as a {}."),
    "drink": ("you like {}.", "your favourite is {}."),
}
ACKNOWLEDGED = ("{}, good to know.", "{}, how nice.")

OPENINGS = ("hello", "hi there", "good morning", "hey", "good evening")
WELCOMES = ("hello, how can i help?", "hi, nice to meet you.", "good to see you, what is new?")

SMALL: tuple[tuple[str, str], ...] = (
    ("{} was cold today", "then a warm room helps."),
    ("{} was hot today", "then drink some water."),
    ("{} was long and slow", "then rest well tonight."),
    ("{} was good fun", "i am glad to hear it."),
    ("{} was full of people", "that can be loud."),
    ("{} was over too soon", "perhaps there is a next time."),
)
TOPICS = (
    *("the train", "the walk", "the lake", "the market", "the meeting", "the concert", "the party", "the lesson"),
    *("the park", "the bus", "the office", "the film", "the game", "the dinner", "the ferry", "the fair"),
)

RUDE = ("stupid", "shut up")
"""Words and phrases of rude replies, for `domain.banned`."""
INSULTS = ("{} do not be stupid.", "{} now shut up.", "stupid question. {}")
LOADED = ("obviously everyone knows it: {}", "{} always and undoubtedly.", "certainly, and nobody doubts it: {}")
