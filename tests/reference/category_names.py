"""The names of categories of the data sets that people train on, as texts of prompts.

COCO (80), Pascal VOC (20), NUS-WIDE (81 concepts), CUB-200-2011 (312 attributes in
words). The names of Visual Genome's subsets are not fixed by any publisher, so they are
not here.
"""

COCO = """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock,
vase, scissors, teddy bear, hair drier, toothbrush"""

VOC = """aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog,
horse, motorbike, person, pottedplant, sheep, sofa, train, tvmonitor"""

NUS_WIDE = """airport, animal, beach, bear, birds, boats, book, bridge, buildings, cars, castle,
cat, cityscape, clouds, computer, coral, cow, dancing, dog, earthquake, elk, fire, fish, flags,
flowers, food, fox, frost, garden, glacier, grass, harbor, horses, house, lake, leaf, map,
military, moon, mountain, nighttime, ocean, person, plane, plants, police, protest, railroad,
rainbow, reflection, road, rocks, running, sand, sign, sky, snow, soccer, sports, statue, street,
sun, sunset, surf, swimmers, tattoo, temple, tiger, tower, town, toy, train, tree, valley,
vehicle, water, waterfall, wedding, whales, window, zebra"""

COLOURS = """blue, brown, iridescent, purple, rufous, grey, yellow, olive, green, pink, orange,
black, white, red, buff"""
PATTERNS = "solid, spotted, striped, multi-colored"
SHAPES = """upright-perching water-like, chicken-like-marsh, long-legged-like, duck-like,
owl-like, gull-like, hummingbird-like, pigeon-like, tree-clinging-like, hawk-like,
sandpiper-like, upland-ground-like, swallow-like, perching-like"""

# Groups in the order of CUB's attributes.txt.
CUB_GROUPS = [
    ("bill shape", """curved (up or down), dagger, hooked, needle, hooked seabird, spatulate,
     all-purpose, cone, specialized"""),
    ("wing color", COLOURS),
    ("upperparts color", COLOURS),
    ("underparts color", COLOURS),
    ("breast pattern", PATTERNS),
    ("back color", COLOURS),
    ("tail shape", """forked tail, rounded tail, notched tail, fan-shaped tail, pointed tail,
     squared tail"""),
    ("upper tail color", COLOURS),
    ("head pattern", """spotted, malar, crested, masked, unique pattern, eyebrow, eyering, plain,
     eyeline, striped, capped"""),
    ("breast color", COLOURS),
    ("throat color", COLOURS),
    ("eye color", COLOURS.replace("iridescent, ", "")),
    ("bill length", "about the same as head, longer than head, shorter than head"),
    ("forehead color", COLOURS),
    ("under tail color", COLOURS),
    ("nape color", COLOURS),
    ("belly color", COLOURS),
    ("wing shape", "rounded-wings, pointed-wings, broad-wings, tapered-wings, long-wings"),
    ("size", """large (16 - 32 in), small (5 - 9 in), very large (32 - 72 in), medium (9 - 16 in),
     very small (3 - 5 in)"""),
    ("shape", SHAPES),
    ("back pattern", PATTERNS),
    ("tail pattern", PATTERNS),
    ("belly pattern", PATTERNS),
    ("primary color", COLOURS),
    ("leg color", COLOURS),
    ("bill color", COLOURS),
    ("crown color", COLOURS),
    ("wing pattern", PATTERNS),
]


def split(names):
    return [" ".join(name.split()) for name in names.split(",")]


CUB = [f"{group}: {value}" for group, values in CUB_GROUPS for value in split(values)]

ALL = split(COCO) + split(VOC) + split(NUS_WIDE) + CUB
assert (len(split(COCO)), len(split(VOC)), len(split(NUS_WIDE)), len(CUB)) == (80, 20, 81, 312), (
    len(split(COCO)), len(split(VOC)), len(split(NUS_WIDE)), len(CUB))
