#pragma once

// Written by visual_genome.py, NumPy 2: every text ends its lines with a line break.

// clang-format off
namespace reference::visual_genome {

inline constexpr char kObjects[] = R"~([{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["  Tree"],"object_id": 132700,"merged_object_ids": []}],"image_id": 1327,"image_url": "https://x/\"1327].jpg"},{"image_id": 618,"image_url": "https://x/\"618].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["trees"],"object_id": 61800,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["caf\u00e9","hat, red"],"object_id": 61801,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["tree","grey"],"object_id": 61802,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["caf\u00e9"],"object_id": 61803,"merged_object_ids": []}]},
{"image_id": 1618,"image_url": "https://x/\"1618].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["grey"],"object_id": 161800,"merged_object_ids": []}]},
{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["light."],"object_id": 266700,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["Table"],"object_id": 266701,"merged_object_ids": []}],"image_id": 2667,"image_url": "https://x/\"2667].jpg"},{"image_id": 198,"image_url": "https://x/\"198].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["men"],"object_id": 19800,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["sky ."],"object_id": 19801,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["bus"],"object_id": 19802,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["dark red bus"],"object_id": 19803,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["men"],"object_id": 19804,"merged_object_ids": []}]},
{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["bus","  Tree"],"object_id": 29700,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["Traffic \t Light"],"object_id": 29701,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["men","grey"],"object_id": 29702,"merged_object_ids": []}],"image_id": 297,"image_url": "https://x/\"297].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["very red bus"],"object_id": 219500,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["caf\u00e9"],"object_id": 219501,"merged_object_ids": []}],"image_id": 2195,"image_url": "https://x/\"2195].jpg"},{"objects": [],"image_id": 386,"image_url": "https://x/\"386].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["men"],"object_id": 149800,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["dark red bus","hat, red"],"object_id": 149801,"merged_object_ids": []}],"image_id": 1498,"image_url": "https://x/\"1498].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["dark red bus"],"object_id": 238800,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["very red bus"],"object_id": 238801,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["light.","very red bus"],"object_id": 238802,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["tree","sky"],"object_id": 238803,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["dark red bus","  Tree"],"object_id": 238804,"merged_object_ids": []}],"image_id": 2388,"image_url": "https://x/\"2388].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["sky"],"object_id": 23800,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["light.","traffic light"],"object_id": 23801,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["  Tree"],"object_id": 23802,"merged_object_ids": []}],"image_id": 238,"image_url": "https://x/\"238].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Traffic \t Light"],"object_id": 207900,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["traffic light"],"object_id": 207901,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["  Tree"],"object_id": 207902,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["  Tree","Table"],"object_id": 207903,"merged_object_ids": []}],"image_id": 2079,"image_url": "https://x/\"2079].jpg"},{"image_id": 880,"image_url": "https://x/\"880].jpg","objects": []},
{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["dark red bus","Man"],"object_id": 15400,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["grey","very red bus"],"object_id": 15401,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["bus"],"object_id": 15402,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["sky ."],"object_id": 15403,"merged_object_ids": []}],"image_id": 154,"image_url": "https://x/\"154].jpg"},{"image_id": 353,"image_url": "https://x/\"353].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["man "],"object_id": 35300,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["grey"],"object_id": 35301,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["traffic light"],"object_id": 35302,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["sky"],"object_id": 35303,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["man "],"object_id": 35304,"merged_object_ids": []}]},
{"image_id": 1777,"image_url": "https://x/\"1777].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["tree"],"object_id": 177700,"merged_object_ids": []}]},
{"image_id": 1713,"image_url": "https://x/\"1713].jpg","objects": []},
{"image_id": 287,"image_url": "https://x/\"287].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["tree","very red bus"],"object_id": 28700,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["men"],"object_id": 28701,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": [""],"object_id": 28702,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["hat, red"],"object_id": 28703,"merged_object_ids": []}]},
{"image_id": 986,"image_url": "https://x/\"986].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["sky"],"object_id": 98600,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["sky","light."],"object_id": 98601,"merged_object_ids": []}]},
{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["tree","bus"],"object_id": 37200,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["sky"],"object_id": 37201,"merged_object_ids": []}],"image_id": 372,"image_url": "https://x/\"372].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["wooden table"],"object_id": 225800,"merged_object_ids": []}],"image_id": 2258,"image_url": "https://x/\"2258].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["grey"],"object_id": 173900,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["sky ."],"object_id": 173901,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["hat, red"],"object_id": 173902,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["red  table."],"object_id": 173903,"merged_object_ids": []}],"image_id": 1739,"image_url": "https://x/\"1739].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Table"],"object_id": 24300,"merged_object_ids": []}],"image_id": 243,"image_url": "https://x/\"243].jpg"},{"image_id": 2317,"image_url": "https://x/\"2317].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Table"],"object_id": 231700,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["wooden table"],"object_id": 231701,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["traffic light"],"object_id": 231702,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["Table"],"object_id": 231703,"merged_object_ids": []}]},
{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Man"],"object_id": 50800,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["red  table."],"object_id": 50801,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["wooden table"],"object_id": 50802,"merged_object_ids": []}],"image_id": 508,"image_url": "https://x/\"508].jpg"},{"image_id": 915,"image_url": "https://x/\"915].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["very red bus"],"object_id": 91500,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["very red bus"],"object_id": 91501,"merged_object_ids": []}]},
{"image_id": 2584,"image_url": "https://x/\"2584].jpg","objects": []},
{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["sky"],"object_id": 257000,"merged_object_ids": []}],"image_id": 2570,"image_url": "https://x/\"2570].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["sky"],"object_id": 25400,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["very red bus"],"object_id": 25401,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["men"],"object_id": 25402,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["tree"],"object_id": 25403,"merged_object_ids": []}],"image_id": 254,"image_url": "https://x/\"254].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["sky"],"object_id": 236400,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["Traffic \t Light"],"object_id": 236401,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["bus"],"object_id": 236402,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["traffic light","light."],"object_id": 236403,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["men"],"object_id": 236404,"merged_object_ids": []}],"image_id": 2364,"image_url": "https://x/\"2364].jpg"},{"image_id": 2399,"image_url": "https://x/\"2399].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Man"],"object_id": 239900,"merged_object_ids": []}]},
{"image_id": 1625,"image_url": "https://x/\"1625].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["  Tree"],"object_id": 162500,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": [""],"object_id": 162501,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["very red bus"],"object_id": 162502,"merged_object_ids": []}]},
{"image_id": 204,"image_url": "https://x/\"204].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Man","hat, red"],"object_id": 20400,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["  Tree","Traffic \t Light"],"object_id": 20401,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["wooden table"],"object_id": 20402,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["wooden table"],"object_id": 20403,"merged_object_ids": []}]},
{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Table"],"object_id": 90600,"merged_object_ids": []}],"image_id": 906,"image_url": "https://x/\"906].jpg"},{"objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["Traffic \t Light"],"object_id": 19100,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["man "],"object_id": 19101,"merged_object_ids": []}],"image_id": 191,"image_url": "https://x/\"191].jpg"},{"image_id": 2281,"image_url": "https://x/\"2281].jpg","objects": [{"synsets": ["x.n.01"],"h": 10,"names": ["caf\u00e9"],"object_id": 228100,"merged_object_ids": []},
{"synsets": ["x.n.01"],"h": 10,"names": ["sky ."],"object_id": 228101,"merged_object_ids": []}]}]
)~";

inline constexpr char kAliases[] = R"~(man,men,Guy
tree, trees
person,man
guy,person
lamp,,light.
)~";

// The 6 most frequent names, with how many pictures; of 15 names.
inline constexpr char kBuilt[] = R"~(man: 12
tree: 12
sky: 8
traffic light: 8
very red bus: 7
grey: 6
)~";

inline constexpr int kBuiltNames = 15;

// Picture: categories. Seed 5, a share of 0.25 for the test.
inline constexpr char kBuiltTrain[] = R"~(191: 0 3
198: 0
238: 1 2 3
254: 0 1 2 4
287: 0 1 4
297: 0 1 3 5
353: 0 2 3 5
372: 1 2
386: 
508: 0
618: 1 5
880: 
906: 
915: 4
986: 2
1625: 1 4
1777: 1
2079: 1 3
2195: 4
2258: 
2281: 
2317: 3
2364: 0 2 3
2399: 0
2570: 2
2584: 
2667: 
)~";

inline constexpr char kBuiltTest[] = R"~(154: 0 4 5
204: 0 1 3
243: 
1327: 1
1498: 0
1618: 5
1713: 
1739: 5
2388: 1 2 4
)~";

inline constexpr char kGroups[] = R"~({"person": ["man", "men"], "table": ["table"], "bus": ["bus", "very red bus"], "plant": ["tree", "trees"], "carcpet": ["sky"], "wood": ["trees"], "hue": ["grey"], "never": ["unicorn"]}
)~";

// Picture: categories of the groups. RandomState(1).permutation, 30 % for the test.
inline constexpr char kGroupsTrain[] = R"~(191: 0
198: 0 2 4
204: 0 1 3
238: 3 4
254: 0 2 3 4
287: 0 3
372: 3 4
906: 1
915: 2
1498: 0 2
1618: 6
1625: 2 3
1739: 1 4 6
1777: 3
2079: 3
2195: 2
2258: 1
2281: 4
2317: 1
2364: 0 2 4
2388: 2 3
2399: 0
)~";

inline constexpr char kGroupsTest[] = R"~(154: 2 4 6
243: 1
297: 0 2
353: 0 4 6
508: 0 1
618: 3 5
986: 4
1327: 3
2570: 4
2667: 1
)~";

// The first and last ten of RandomState(1).permutation(108077).
inline constexpr char kPermutation[] = R"~(26307 24948 25746 5859 96176 91384 41021 16224 50659 62103 49100 20609 98448 21440 73349 50057 98047 5192 77708 98539)~";

}  // namespace reference::visual_genome
// clang-format on
